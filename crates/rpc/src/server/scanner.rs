//! The short way for one large `eth_sendRawTransaction`: hex becomes bytes while it arrives.
//!
//! A megabyte of calldata comes as two megabytes of hex inside a small JSON envelope. [`Scanner`] is
//! fed the pieces of an HTTP body in order. It looks for the first string that begins with `0x`
//! after the method's name, decodes that string piece by piece into one exact buffer, and at the end
//! parses the envelope, with the long string replaced by the placeholder `"0x"`, by serde. Only
//! when the envelope is one call of `eth_sendRawTransaction` whose single parameter is the very
//! placeholder is the result [`Scanned::RawTransaction`]; hex digits need no escapes, so that
//! serde on the full text would have said the same. Everything else (a batch, another method, other
//! parameters, a wrong digit) gives the body back for the ordinary way: [`Scanned::Plain`], the
//! same text except that already decoded hex digits are in lower case.
//!
//! Bounds: envelope [`HEAD_BYTES_MAX`] + [`TAIL_BYTES_MAX`]; output half of the body's length.

use alloy_primitives::{Bytes, hex};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Text before the hex digits.
const HEAD_BYTES_MAX: usize = 512;
/// Text after them.
const TAIL_BYTES_MAX: usize = 512;
const METHOD: &[u8] = b"\"eth_sendRawTransaction\"";

/// What a body turned out to be.
#[derive(Debug)]
pub enum Scanned {
    /// One call of `eth_sendRawTransaction`.
    RawTransaction {
        /// The call's id as it was written.
        id: Box<RawValue>,
        /// The decoded parameter.
        raw: Bytes,
    },
    /// Anything else: the body.
    Plain(Vec<u8>),
}

/// Recognises a raw transaction in a body that arrives in pieces.
#[derive(Debug)]
pub struct Scanner {
    phase: Phase,
    /// The envelope up to and with `"0x`, or the whole body in [`Phase::Plain`].
    head: Vec<u8>,
    decoded: Vec<u8>,
    /// A hex digit whose partner is in the next piece.
    half: Option<u8>,
    tail: Vec<u8>,
    body_bytes: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Head,
    Hex,
    Tail,
    Plain,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    jsonrpc: Version,
    #[serde(borrow)]
    id: &'a RawValue,
    method: Method,
    #[serde(borrow)]
    params: (&'a RawValue,),
}

#[derive(Deserialize)]
enum Version {
    #[serde(rename = "2.0")]
    Two,
}

#[derive(Deserialize)]
enum Method {
    #[serde(rename = "eth_sendRawTransaction")]
    SendRawTransaction,
}

impl Scanner {
    /// For a body of `body_bytes` bytes (what the request announced; a hint for allocation).
    pub fn new(body_bytes: usize) -> Self {
        Self {
            phase: Phase::Head,
            head: Vec::new(),
            decoded: Vec::new(),
            half: None,
            tail: Vec::new(),
            body_bytes,
        }
    }

    /// The next piece of the body.
    pub fn push(&mut self, piece: &[u8]) {
        match self.phase {
            Phase::Head => self.push_head(piece),
            Phase::Hex => self.push_hex(piece),
            Phase::Tail => self.push_tail(piece),
            Phase::Plain => self.head.extend_from_slice(piece),
        }
    }

    /// The body is complete.
    pub fn finish(mut self) -> Scanned {
        if self.phase == Phase::Tail
            && let Some(id) = self.envelope_id()
        {
            return Scanned::RawTransaction { id, raw: std::mem::take(&mut self.decoded).into() };
        }
        self.give_up(&[]);
        Scanned::Plain(self.head)
    }

    fn push_head(&mut self, piece: &[u8]) {
        let look = piece.len().min(HEAD_BYTES_MAX.saturating_sub(self.head.len()));
        let before = self.head.len();
        self.head.extend_from_slice(&piece[..look]);
        match string_start(&self.head) {
            Some(end) => {
                self.head.truncate(end);
                self.phase = Phase::Hex;
                // Enough for all digits that can still come, and never more than the body announced.
                self.decoded = Vec::with_capacity(self.body_bytes.saturating_sub(end) / 2);
                self.push_hex(&piece[end - before..]);
            }
            None if self.head.len() >= HEAD_BYTES_MAX
                || self.head.first().is_some_and(|byte| *byte != b'{' && !byte.is_ascii_whitespace()) =>
            {
                self.head.truncate(before);
                self.give_up(piece);
            }
            None => {}
        }
    }

    fn push_hex(&mut self, piece: &[u8]) {
        let end = memchr_quote(piece);
        let digits = &piece[..end.unwrap_or(piece.len())];
        if !self.decode(digits) {
            return self.give_up(piece);
        }
        if let Some(end) = end {
            if self.half.is_some() {
                return self.give_up(&piece[end..]);
            }
            self.phase = Phase::Tail;
            self.push_tail(&piece[end..]);
        }
    }

    /// Decodes all of `digits` or nothing.
    fn decode(&mut self, digits: &[u8]) -> bool {
        let mut pair = [0u8; 1];
        let mut rest = digits;
        let joined = match (self.half, digits.first()) {
            (Some(high), Some(low)) => {
                if hex::decode_to_slice([high, *low], &mut pair).is_err() {
                    return false;
                }
                rest = &digits[1..];
                true
            }
            _ => false,
        };
        let (even, odd) = rest.split_at(rest.len() & !1);
        let start = self.decoded.len();
        let at = start + usize::from(joined);
        self.decoded.resize(at + even.len() / 2, 0);
        let bad_half = odd.first().is_some_and(|digit| !digit.is_ascii_hexdigit());
        if bad_half || hex::decode_to_slice(even, &mut self.decoded[at..]).is_err() {
            self.decoded.truncate(start);
            return false;
        }
        if joined {
            self.decoded[start] = pair[0];
            self.half = None;
        }
        if let Some(digit) = odd.first() {
            self.half = Some(*digit);
        }
        true
    }

    fn push_tail(&mut self, piece: &[u8]) {
        if self.tail.len() + piece.len() > TAIL_BYTES_MAX {
            return self.give_up(piece);
        }
        self.tail.extend_from_slice(piece);
    }

    /// Puts the body together again, `piece` last.
    fn give_up(&mut self, piece: &[u8]) {
        if self.phase != Phase::Plain {
            let mut body = Vec::with_capacity(
                self.body_bytes
                    .max(self.head.len() + 2 * self.decoded.len() + self.tail.len() + piece.len() + 1),
            );
            body.append(&mut self.head);
            body.extend_from_slice(hex::encode(std::mem::take(&mut self.decoded)).as_bytes());
            body.extend(self.half.take());
            body.append(&mut self.tail);
            self.head = body;
            self.phase = Phase::Plain;
        }
        self.head.extend_from_slice(piece);
    }

    /// Parses the envelope with the placeholder in the long string's place.
    fn envelope_id(&self) -> Option<Box<RawValue>> {
        let mut text = Vec::with_capacity(self.head.len() + self.tail.len());
        text.extend_from_slice(&self.head);
        text.extend_from_slice(&self.tail);
        let envelope: Envelope<'_> = serde_json::from_slice(&text).ok()?;
        let Envelope { jsonrpc: Version::Two, id, method: Method::SendRawTransaction, params: (parameter,) } =
            envelope;
        // The parameter must be the string that was decoded, not another one that begins with 0x.
        let offset = (parameter.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
        let is_placeholder = parameter.get() == "\"0x\"" && offset + 3 == self.head.len();
        // As JSON-RPC ids are read elsewhere; escapes in a string id go the ordinary way.
        let is_id = (id.get().starts_with('"') && !id.get().contains('\\'))
            || id.get() == "null"
            || id.get().parse::<u64>().is_ok();
        (is_placeholder && is_id).then(|| id.to_owned())
    }
}

/// Where the digits of the first `"0x…` string after the method's name begin.
fn string_start(head: &[u8]) -> Option<usize> {
    let method = head.windows(METHOD.len()).position(|window| window == METHOD)?;
    let from = method + METHOD.len();
    let string = head[from..].windows(3).position(|window| window == b"\"0x")?;
    Some(from + string + 3)
}

fn memchr_quote(bytes: &[u8]) -> Option<usize> {
    // `contains`-style search of one byte is vectorised by the compiler when done in blocks.
    const BLOCK: usize = 64;
    let mut blocks = bytes.chunks_exact(BLOCK);
    for (index, block) in blocks.by_ref().enumerate() {
        if block.iter().fold(false, |found, byte| found | (*byte == b'"')) {
            return block.iter().position(|byte| *byte == b'"').map(|at| index * BLOCK + at);
        }
    }
    let rest = blocks.remainder();
    rest.iter().position(|byte| *byte == b'"').map(|at| bytes.len() - rest.len() + at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the ordinary way understands.
    fn oracle(body: &[u8]) -> Option<(serde_json::Value, Vec<u8>)> {
        let request: jsonrpsee::types::Request<'_> = serde_json::from_slice(body).ok()?;
        if request.method != "eth_sendRawTransaction" {
            return None;
        }
        let params: (Bytes,) = serde_json::from_str(request.params?.get()).ok()?;
        Some((serde_json::to_value(&request.id).ok()?, params.0.to_vec()))
    }

    fn scan(body: &[u8], piece: usize) -> Scanned {
        let mut scanner = Scanner::new(body.len());
        body.chunks(piece.max(1)).for_each(|piece| scanner.push(piece));
        scanner.finish()
    }

    fn check(body: &[u8], piece: usize) -> Result<bool, TestCaseError> {
        match scan(body, piece) {
            Scanned::RawTransaction { id, raw } => {
                let (expected_id, expected) =
                    oracle(body).ok_or_else(|| TestCaseError::fail("accepted what serde refuses"))?;
                prop_assert_eq!(&raw[..], &expected[..]);
                prop_assert_eq!(serde_json::from_str::<serde_json::Value>(id.get()).unwrap(), expected_id);
                Ok(true)
            }
            Scanned::Plain(text) => {
                prop_assert!(text.eq_ignore_ascii_case(body), "the body came back changed");
                Ok(false)
            }
        }
    }

    fn request(raw: &[u8]) -> String {
        format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"eth_sendRawTransaction","params":["0x{}"]}}"#,
            hex::encode(raw)
        )
    }

    #[test]
    fn the_usual_request_takes_the_short_way_however_it_is_cut() {
        let raw: Vec<u8> = (0..=255u8).cycle().take(10_000).collect();
        let body = request(&raw);
        for piece in [1, 2, 3, 7, 64, 4096, body.len()] {
            assert!(check(body.as_bytes(), piece).unwrap(), "piece {piece}");
        }
        let upper = body.replace("0x0001", "0x0001AbCdEF");
        assert!(check(upper.as_bytes(), 100).unwrap());
    }

    #[test]
    fn the_method_may_come_after_and_then_it_is_the_ordinary_way() {
        for body in [
            r#"{"params":["0x00"],"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction"}"#,
            r#"[{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x00"]}]"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x000"]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x0g"]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x0x00"]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x00","0x"]}"#,
            r#"{"jsonrpc":"2.0","method":"eth_sendRawTransaction","id":"0xab","params":["0x"]}"#,
            r#"{"jsonrpc":"2.0","method":"eth_sendRawTransaction","params":["0x00"]}"#,
            r#"{"jsonrpc":"1.0","id":1,"method":"eth_sendRawTransaction","params":["0x00"]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":{"raw":"0x00"}}"#,
            r#"{"jsonrpc":"2.0","id":-1,"method":"eth_sendRawTransaction","params":["0x00"]}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x00"],"x":1}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x00"#,
            "",
        ] {
            for piece in [1, 5, 1000] {
                assert!(!check(body.as_bytes(), piece).unwrap(), "{body}");
            }
        }
    }

    #[test]
    fn a_long_envelope_is_not_kept_apart() {
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"eth_sendRawTransaction","params":["0x00"],"id":"{}"}}"#,
            "i".repeat(2000)
        );
        assert!(!check(body.as_bytes(), 100).unwrap());
        let body = format!("{}{}", " ".repeat(2000), request(&[1]));
        assert!(!check(body.as_bytes(), 100).unwrap());
    }

    proptest! {
        #[test]
        fn every_accepted_body_means_what_serde_says(
            raw in proptest::collection::vec(any::<u8>(), 0..300),
            piece in 1usize..400,
            order in 0usize..4,
            id in prop_oneof![Just("1".to_owned()), Just("null".to_owned()), Just("\"0x12\"".to_owned()), Just("\"\\u0041\"".to_owned()), Just("[]".to_owned())],
            cut in proptest::option::of(0usize..400),
            flip in proptest::option::of((0usize..400, any::<u8>())),
        ) {
            let digits = hex::encode(&raw);
            let mut body = match order {
                0 => format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"eth_sendRawTransaction","params":["0x{digits}"]}}"#),
                1 => format!(r#"{{"method":"eth_sendRawTransaction","params":["0x{digits}"],"id":{id},"jsonrpc":"2.0"}}"#),
                2 => format!(r#" {{ "method" : "eth_sendRawTransaction" , "id":{id}, "params" : [ "0x{digits}" ] , "jsonrpc":"2.0"}} "#),
                _ => format!(r#"{{"params":["0x{digits}"],"method":"eth_sendRawTransaction","id":{id},"jsonrpc":"2.0"}}"#),
            }.into_bytes();
            if let Some(cut) = cut {
                body.truncate(cut);
            }
            if let Some((at, byte)) = flip
                && let Some(place) = body.get_mut(at)
            {
                *place = byte;
            }
            check(&body, piece)?;
        }

        #[test]
        fn a_quote_is_found_where_it_is(bytes in proptest::collection::vec(prop_oneof![9 => Just(b'a'), 1 => Just(b'"')], 0..300)) {
            prop_assert_eq!(memchr_quote(&bytes), bytes.iter().position(|byte| *byte == b'"'));
        }
    }
}
