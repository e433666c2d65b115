//! Numbers for people: short, with a dash where there is none.

/// A number to four digits, or a dash.
pub fn number(value: Option<f64>) -> String {
    match value {
        Some(value) if value.is_finite() && (value == 0.0 || (1e-3..1e5).contains(&value.abs())) => {
            format!("{value:.4}")
        }
        Some(value) if value.is_finite() => format!("{value:.3e}"),
        _ => "-".to_owned(),
    }
}

/// Floating-point operations with a unit: `1.250 TFLOP`; a dash for what is no finite number.
pub fn flops(value: f64) -> String {
    scaled(value, 1000.0, &["FLOP", "kFLOP", "MFLOP", "GFLOP", "TFLOP", "PFLOP", "EFLOP"])
}

/// Bytes with a binary unit: `1.500 GiB`; a dash for what is no finite number.
pub fn bytes(value: f64) -> String {
    scaled(value, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"])
}

/// A duration: `3.2 s`, `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`; beyond 100 years it is not known.
pub fn duration(seconds: f64) -> String {
    const UNKNOWN: f64 = 100.0 * 365.0 * 86400.0;
    if !seconds.is_finite() || seconds > UNKNOWN {
        return "unknown time".into();
    }
    if (0.05..9.95).contains(&seconds) {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        3600..86400 => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
        _ => format!("{} d {} h", whole / 86400, whole % 86400 / 3600),
    }
}

fn scaled(value: f64, step: f64, units: &[&str]) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let mut value = value;
    let mut at = 0;
    while value.abs() >= step && at + 1 < units.len() {
        value /= step;
        at += 1;
    }
    format!("{value:.3} {}", units[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_have_sensible_units() {
        assert_eq!(flops(1.25e12), "1.250 TFLOP");
        assert_eq!(bytes(1536.0), "1.500 KiB");
        assert_eq!((number(Some(1.5)).as_str(), number(Some(1e-6)).as_str()), ("1.5000", "1.000e-6"));
        assert_eq!(number(Some(f64::NAN)), "-");
        assert_eq!(number(None), "-");
        for none in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!((flops(none).as_str(), bytes(none).as_str()), ("-", "-"));
        }
    }

    #[test]
    fn durations_are_for_people() {
        for (seconds, text) in [
            (0.0, "0 s"),
            (0.2, "0.2 s"),
            (9.94, "9.9 s"),
            (9.96, "10 s"),
            (59.4, "59 s"),
            (200.0, "3 min 20 s"),
            (7500.0, "2 h 5 min"),
            (180_000.0, "2 d 2 h"),
            (33_177_600.0, "384 d 0 h"),
            (4e10, "unknown time"),
            (f64::INFINITY, "unknown time"),
        ] {
            assert_eq!(duration(seconds), text);
        }
    }
}
