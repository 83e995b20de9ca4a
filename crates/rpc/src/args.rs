//! Positional parameters of a call, parsed one by one with geth's error words.
//!
//! Nothing is copied: each argument is a slice of the request's text until a handler asks for its
//! type. Depth is bounded by serde_json's recursion limit (128) when a typed value is parsed.

use crate::RpcError;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The `params` array of one call.
#[derive(Debug)]
pub struct Args<'a> {
    items: Vec<&'a RawValue>,
}

impl<'a> Args<'a> {
    /// Splits `params`; absent means empty. At most `max` items.
    pub fn parse(params: Option<&'a str>, max: usize) -> Result<Self, RpcError> {
        let Some(text) = params.map(str::trim).filter(|text| !text.is_empty() && *text != "null") else {
            return Ok(Self { items: Vec::new() });
        };
        if !text.starts_with('[') {
            return Err(RpcError::InvalidParams("non-array args".to_owned()));
        }
        let items: Vec<&RawValue> =
            serde_json::from_str(text).map_err(|error| RpcError::InvalidParams(error.to_string()))?;
        if items.len() > max {
            return Err(RpcError::InvalidParams(format!("too many arguments, want at most {max}")));
        }
        Ok(Self { items })
    }

    /// Argument `index`, which must be there.
    pub fn required<T: Deserialize<'a>>(&self, index: usize) -> Result<T, RpcError> {
        self.optional(index)?
            .ok_or_else(|| RpcError::InvalidParams(format!("missing value for required argument {index}")))
    }

    /// Argument `index`; `None` when it is absent or `null`.
    pub fn optional<T: Deserialize<'a>>(&self, index: usize) -> Result<Option<T>, RpcError> {
        let Some(raw) = self.items.get(index) else { return Ok(None) };
        if raw.get() == "null" {
            return Ok(None);
        }
        serde_json::from_str(raw.get()).map(Some).map_err(|error| RpcError::argument(index, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
    use proptest::prelude::*;

    #[test]
    fn absent_null_and_empty_are_the_same() {
        for text in [None, Some(""), Some("null"), Some("[]"), Some(" [ ] ")] {
            let args = Args::parse(text, 1).unwrap();
            assert!(args.optional::<u64>(0).unwrap().is_none());
            let error = args.required::<u64>(0).unwrap_err();
            assert_eq!(
                (error.code(), error.to_string().as_str()),
                (-32602, "missing value for required argument 0")
            );
        }
    }

    #[test]
    fn wrong_shapes_are_invalid_params() {
        assert_eq!(Args::parse(Some(r#"{"a":1}"#), 1).unwrap_err().to_string(), "non-array args");
        assert_eq!(
            Args::parse(Some("[1,2]"), 1).unwrap_err().to_string(),
            "too many arguments, want at most 1"
        );
        let text = r#"["0xzz"]"#;
        let error = Args::parse(Some(text), 1).unwrap().required::<Address>(0).unwrap_err();
        assert!(error.to_string().starts_with("invalid argument 0: "), "{error}");
        assert_eq!(error.code(), -32602);
    }

    #[test]
    fn nesting_is_refused_without_using_the_stack() {
        let deep = format!("[{}{}]", "[".repeat(200_000), "]".repeat(200_000));
        let args = Args::parse(Some(&deep), 1).unwrap();
        assert!(args.required::<serde_json::Value>(0).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in ".{0,64}", max in 0usize..4) {
            if let Ok(args) = Args::parse(Some(&text), max) {
                for index in 0..max {
                    let _ = args.optional::<serde_json::Value>(index);
                }
            }
        }
    }
}
