//! The day that a template sees through `strftime_now`.

/// A day. Templates that print the date get this one, so that a run can be repeated on another day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date {
    /// Year.
    pub year: u32,
    /// Month, 1 to 12.
    pub month: u32,
    /// Day of the month, from 1.
    pub day: u32,
}

/// 26 July 2024, the day on which the public Llama 3 templates fall back.
impl Default for Date {
    fn default() -> Self {
        Self { year: 2024, month: 7, day: 26 }
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// Days before each month of a common year.
const BEFORE: [u32; 12] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
/// Largest width that a conversion may ask for.
const WIDEST: usize = 1000;

impl Date {
    /// The day in the notation of C's `strftime` in the locale "C", with the flags `-`, `_`, `0`, `^`, `#` and widths
    /// of the GNU library; times of day are midnight, without a time zone.
    ///
    /// # Errors
    /// The conversion that is not known.
    pub(crate) fn format(self, format: &str) -> Result<String, String> {
        let mut out = String::new();
        let mut rest = format;
        while let Some(at) = rest.find('%') {
            out += &rest[..at];
            rest = &rest[at + 1..];
            let conversion = rest.trim_start_matches(['-', '_', '0', '^', '#']);
            let flags = &rest[..rest.len() - conversion.len()];
            let after = conversion.trim_start_matches(|c: char| c.is_ascii_digit());
            let width = &conversion[..conversion.len() - after.len()];
            let Some(c) = after.chars().next() else { return Err(format!("unknown %{rest}")) };
            let unknown = || format!("unknown %{}", &rest[..rest.len() - after.len() + c.len_utf8()]);
            rest = &after[c.len_utf8()..];
            let (text, fill, least) = self.conversion(c).ok_or_else(unknown)?;
            let least = if width.is_empty() { least } else { width.parse().unwrap_or(usize::MAX) };
            if least > WIDEST {
                return Err(format!("a width of {width}, more than {WIDEST}"));
            }
            let fill = match flags.chars().rfind(|flag| matches!(flag, '-' | '_' | '0')) {
                Some('-') => None,
                Some('_') => Some(' '),
                Some(_) => Some('0'),
                None => Some(fill),
            };
            let missing = fill.map_or(0, |_| least.saturating_sub(text.chars().count()));
            out.extend(std::iter::repeat_n(fill.unwrap_or(' '), missing));
            out += &if flags.contains(['^', '#']) { text.to_uppercase() } else { text };
        }
        Ok(out + rest)
    }

    /// What stands for a conversion, unpadded, with its usual filling and width.
    fn conversion(self, c: char) -> Option<(String, char, usize)> {
        let month = MONTHS[(self.month.clamp(1, 12) - 1) as usize];
        let weekday = WEEKDAYS[self.weekday() as usize];
        let number = |number: u32, width: usize| Some((number.to_string(), '0', width));
        let blank = |number: u32| Some((number.to_string(), ' ', 2));
        let text = |text: String| Some((text, ' ', 0));
        let inner = |format: &str| self.format(format).ok().and_then(text);
        let monday = (self.weekday() + 6) % 7;
        match c {
            'd' => number(self.day, 2),
            'e' => blank(self.day),
            'm' => number(self.month, 2),
            'y' => number(self.year % 100, 2),
            'C' => number(self.year / 100, 2),
            'Y' => number(self.year, 1),
            'j' => number(self.day_of_year(), 3),
            'u' => number(monday + 1, 1),
            'w' => number(self.weekday(), 1),
            'U' => number((self.day_of_year() + 6 - self.weekday()) / 7, 2),
            'W' => number((self.day_of_year() + 6 - monday) / 7, 2),
            'H' | 'M' | 'S' => number(0, 2),
            'I' => number(12, 2),
            'k' => blank(0),
            'l' => blank(12),
            'f' => number(0, 6),
            'B' => text(month.into()),
            'b' | 'h' => text(month[..3].into()),
            'A' => text(weekday.into()),
            'a' => text(weekday[..3].into()),
            'p' => text("AM".into()),
            'P' => text("am".into()),
            'Z' | 'z' => text(String::new()),
            'F' => inner("%Y-%m-%d"),
            'D' | 'x' => inner("%m/%d/%y"),
            'T' | 'X' => inner("%H:%M:%S"),
            'R' => inner("%H:%M"),
            'r' => inner("%I:%M:%S %p"),
            'c' => inner("%a %b %e %H:%M:%S %Y"),
            'n' => text("\n".into()),
            't' => text("\t".into()),
            '%' => text("%".into()),
            _ => None,
        }
    }

    /// From 1.
    fn day_of_year(self) -> u32 {
        let leap =
            self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        BEFORE[(self.month.clamp(1, 12) - 1) as usize] + self.day + u32::from(leap && self.month > 2)
    }

    /// 0 = Sunday; Sakamoto's method for the Gregorian calendar.
    fn weekday(self) -> u32 {
        const SHIFT: [u32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let year = if self.month < 3 { self.year.saturating_sub(1) } else { self.year };
        let shift = SHIFT[(self.month.clamp(1, 12) - 1) as usize];
        (year + year / 4 - year / 100 + year / 400 + shift + self.day) % 7
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn known_days() {
        assert_eq!(Date::default().format("%d %b %Y, %A").unwrap(), "26 Jul 2024, Friday");
        let day = Date { year: 2000, month: 2, day: 29 };
        assert_eq!(day.format("%a %F 100%%").unwrap(), "Tue 2000-02-29 100%");
        assert_eq!(day.format("%Q").unwrap_err(), "unknown %Q");
    }

    #[test]
    fn flags_and_widths() {
        let day = Date { year: 2026, month: 1, day: 2 };
        assert_eq!(day.format("%-d.%-m.%Y|%_d|%e|%^b|%3d|%-j|%j").unwrap(), "2.1.2026| 2| 2|JAN|002|2|002");
        assert_eq!(day.format("%U %W %u %w %I%p").unwrap(), "00 00 5 5 12AM");
        assert!(day.format("%99999999d").unwrap_err().contains("1000"));
        assert_eq!(day.format("%-").unwrap_err(), "unknown %-");
    }
}
