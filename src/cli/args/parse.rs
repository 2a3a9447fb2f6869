//! Parsers of option values.

use std::convert::Infallible;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use secrecy::SecretString;

use crate::catalog::ApiDialect;
use crate::wire::exchange::AuthScheme;

fn parse_number(text: &str, is_valid: impl Fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && is_valid(*number));
    number.ok_or_else(|| format!("expected {expected}"))
}

/// A probability.
pub fn parse_probability(text: &str) -> Result<f64, String> {
    parse_number(text, |p| (0.0..=1.0).contains(&p), "a number from 0 to 1")
}

/// A confidence.
pub fn parse_confidence(text: &str) -> Result<f64, String> {
    parse_number(text, |p| (0.5..1.0).contains(&p), "a number from 0.5 up to, but not including, 1")
}

/// A bound on the cost.
pub fn parse_dollars(text: &str) -> Result<f64, String> {
    parse_number(text, |dollars| dollars > 0.0, "a number of US dollars above 0, for example 0.50")
}

/// A price, which may be 0.
pub fn parse_price(text: &str) -> Result<f64, String> {
    parse_number(text, |dollars| dollars >= 0.0, "US dollars for a million tokens, for example 0.28")
}

/// A time of at most one day, in seconds.
pub fn parse_seconds(text: &str) -> Result<f64, String> {
    parse_number(text, |seconds| (0.0..=86_400.0).contains(&seconds), "a number of seconds from 0 to 86400")
}

/// A text that may contain a secret. It is wrapped as soon as it is parsed.
pub fn parse_secret(text: &str) -> Result<SecretString, Infallible> {
    Ok(SecretString::from(text))
}

/// Options take the words that files have.
macro_rules! impl_value_enum {
    ($($name:ty),+) => {$(
        impl ValueEnum for $name {
            fn value_variants<'a>() -> &'a [Self] {
                &Self::ALL
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(PossibleValue::new(self.as_str()))
            }
        }
    )+};
}

impl_value_enum!(ApiDialect, AuthScheme);
