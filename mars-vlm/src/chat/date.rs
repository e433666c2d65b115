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

impl Date {
    /// The day in the notation of C's `strftime`; times of day are midnight.
    ///
    /// # Errors
    /// The conversion that is not known.
    pub(crate) fn format(self, format: &str) -> Result<String, String> {
        let month = MONTHS[(self.month.clamp(1, 12) - 1) as usize];
        let weekday = WEEKDAYS[self.weekday()];
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            out += &match chars.next() {
                Some('d') => format!("{:02}", self.day),
                Some('m') => format!("{:02}", self.month),
                Some('y') => format!("{:02}", self.year % 100),
                Some('Y') => format!("{:04}", self.year),
                Some('B') => month.into(),
                Some('b' | 'h') => month[..3].into(),
                Some('A') => weekday.into(),
                Some('a') => weekday[..3].into(),
                Some('F') => format!("{:04}-{:02}-{:02}", self.year, self.month, self.day),
                Some('H' | 'M' | 'S') => "00".into(),
                Some('%') => "%".into(),
                other => return Err(format!("%{}", other.map(String::from).unwrap_or_default())),
            };
        }
        Ok(out)
    }

    /// 0 = Sunday; Sakamoto's method for the Gregorian calendar.
    fn weekday(self) -> usize {
        const SHIFT: [u32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
        let year = if self.month < 3 { self.year.saturating_sub(1) } else { self.year };
        let shift = SHIFT[(self.month.clamp(1, 12) - 1) as usize];
        ((year + year / 4 - year / 100 + year / 400 + shift + self.day) % 7) as usize
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
        assert_eq!(day.format("%Q").unwrap_err(), "%Q");
    }
}
