//! Values with a unit, as people write them.

use serde::{Deserialize, Serialize};
use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

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

/// An amount on Arweave in winston, written `1.5AR`, `250000 winston` or `250000`. An AR is 10^12 winston.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ArAmount(pub u128);

/// Decimals of an AR.
const AR_DECIMALS: usize = 12;
const WINSTON_PER_AR: u128 = 10u128.pow(AR_DECIMALS as u32);

/// Why an amount is refused.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an amount; write for example 1.5AR (at most 12 decimals) or 250000 winston")]
pub struct ArAmountError(String);

impl FromStr for ArAmount {
    type Err = ArAmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || ArAmountError(text.into());
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let digits = |text: &str| text.parse::<u128>().map_err(|_| malformed());
        match unit.trim() {
            "" | "winston" | "W" => digits(number).map(Self),
            "AR" | "ar" => {
                let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
                if part.is_empty() || part.len() > AR_DECIMALS {
                    return Err(malformed());
                }
                let winston = digits(&format!("{part:0<AR_DECIMALS$}"))?;
                let whole = digits(whole)?.checked_mul(WINSTON_PER_AR).ok_or_else(malformed)?;
                whole.checked_add(winston).map(Self).ok_or_else(malformed)
            }
            _ => Err(malformed()),
        }
    }
}

impl fmt::Display for ArAmount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.0 / WINSTON_PER_AR, self.0 % WINSTON_PER_AR);
        let part = format!("{part:0AR_DECIMALS$}");
        match part.trim_end_matches('0') {
            "" => write!(f, "{whole}AR"),
            part => write!(f, "{whole}.{part}AR"),
        }
    }
}

impl From<ArAmount> for String {
    fn from(amount: ArAmount) -> Self {
        amount.to_string()
    }
}

impl TryFrom<String> for ArAmount {
    type Error = ArAmountError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Whether Arweave is in this process, and where it listens: `off`, `on` (127.0.0.1:1984) or `IP:PORT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Embedded {
    /// It is not.
    Off,
    /// It listens here.
    At(SocketAddr),
}

/// Why it is neither an address nor `off`.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is neither IP:PORT nor on or off")]
pub struct EmbeddedError(String);

impl FromStr for Embedded {
    type Err = EmbeddedError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" | "false" => Ok(Self::Off),
            "on" | "true" => Ok(Self::At(super::defaults::DEV_GATEWAY)),
            address => address.parse().map(Self::At).map_err(|_| EmbeddedError(text.into())),
        }
    }
}

impl fmt::Display for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(address) => address.fmt(f),
        }
    }
}

impl From<Embedded> for String {
    fn from(embedded: Embedded) -> Self {
        embedded.to_string()
    }
}

impl TryFrom<String> for Embedded {
    type Error = EmbeddedError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
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

    #[test]
    fn amounts_are_exact_to_the_winston() {
        for (text, winston) in [
            ("0", 0),
            ("250000", 250_000),
            ("250000 winston", 250_000),
            ("1AR", 1_000_000_000_000),
            ("1.5 AR", 1_500_000_000_000),
            ("0.000000000001AR", 1),
        ] {
            let amount = text.parse::<ArAmount>().expect(text);
            assert_eq!(amount.0, winston, "{text}");
            assert_eq!(amount.to_string().parse::<ArAmount>().expect("printed"), amount);
        }
        for text in [
            "",
            "AR",
            "1.AR",
            ".5AR",
            "-1AR",
            "1.5",
            "0.0000000000001AR",
            "1 USD",
            "1e9",
            "1.2.3AR",
            &"9".repeat(40),
        ] {
            assert!(text.parse::<ArAmount>().is_err(), "{text}");
        }
        assert!(format!("{}AR", u128::MAX).parse::<ArAmount>().is_err(), "too large");
    }

    #[test]
    fn the_embedded_gateway_is_off_or_somewhere() {
        assert_eq!("off".parse::<Embedded>().ok(), Some(Embedded::Off));
        assert_eq!("on".parse::<Embedded>().expect("on").to_string(), "127.0.0.1:1984");
        assert_eq!("[::1]:0".parse::<Embedded>().expect("address").to_string(), "[::1]:0");
        assert!("1984".parse::<Embedded>().is_err());
    }
}
