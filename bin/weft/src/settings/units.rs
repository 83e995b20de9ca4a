//! Values with a unit, as people write them.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// A duration written as `2s`, `250ms` or `1m 30s`, on the command line and in TOML alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HumanDuration(pub Duration);

impl FromStr for HumanDuration {
    type Err = humantime::DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        humantime::parse_duration(text).map(Self)
    }
}

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl From<HumanDuration> for String {
    fn from(duration: HumanDuration) -> Self {
        duration.to_string()
    }
}

impl TryFrom<String> for HumanDuration {
    type Error = humantime::DurationError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// A number of bytes written as `1MiB`, `128KiB`, `10kB` or `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub usize);

/// Why a size is refused.
#[derive(Debug, thiserror::Error)]
pub enum ByteSizeError {
    /// Not digits followed by a unit.
    #[error("`{0}` is not a size; write for example 4096, 128KiB, 1MiB or 10MB")]
    Malformed(String),
    /// More bytes than an address can count.
    #[error("`{0}` is too large")]
    TooLarge(String),
}

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit: usize = match unit.trim() {
            "" | "B" => 1,
            "k" | "kB" | "KB" => 1000,
            "KiB" | "K" => 1 << 10,
            "MB" => 1_000_000,
            "MiB" | "M" => 1 << 20,
            "GB" => 1_000_000_000,
            "GiB" | "G" => 1 << 30,
            _ => return Err(ByteSizeError::Malformed(text.into())),
        };
        let number: usize = number.parse().map_err(|_| ByteSizeError::Malformed(text.into()))?;
        number.checked_mul(unit).map(Self).ok_or_else(|| ByteSizeError::TooLarge(text.into()))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n >= 1 << 20 && n % (1 << 20) == 0 => write!(f, "{}MiB", n >> 20),
            n if n >= 1 << 10 && n % (1 << 10) == 0 => write!(f, "{}KiB", n >> 10),
            n => write!(f, "{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("10KB", 10_000),
            ("128KiB", 131_072),
            ("1MiB", 1 << 20),
            ("8 MiB", 8 << 20),
        ] {
            assert_eq!(text.parse::<ByteSize>().map(|s| s.0).ok(), Some(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1.5MiB", "1 parsec", "99999999999999999999"] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
        assert!(matches!("18446744073709551615KiB".parse::<ByteSize>(), Err(ByteSizeError::TooLarge(_))));
    }

    #[test]
    fn sizes_print_what_they_parse() {
        for text in ["1MiB", "128KiB", "4097", "0"] {
            assert_eq!(text.parse::<ByteSize>().expect("a size").to_string(), text);
        }
    }
}
