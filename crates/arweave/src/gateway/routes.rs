//! Which request is which: method and path to [`Call`], and the [`Route`] that counters and faults know it by.

use super::error::Refusal;
use crate::{Address, Id};
use http::Method;
use serde::{Deserialize, Serialize};

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// `GET /info`, `GET /`
    Info,
    /// `GET /tx_anchor`
    Anchor,
    /// `GET /price/{bytes}[/{target}]`
    Price,
    /// `GET /wallet/{address}/balance` and `/last_tx`
    Wallet,
    /// `GET /mint/{address}/{winston}`
    Mint,
    /// `GET /mine[/{blocks}]`
    Mine,
    /// `POST /tx`
    PostTransaction,
    /// `POST /chunk`
    PostChunk,
    /// `GET /tx/{id}` and `/unconfirmed_tx/{id}`
    Transaction,
    /// `GET /tx/{id}/status`
    Status,
    /// `GET /tx/{id}/offset`
    Offset,
    /// `GET /tx/{id}/{field}`, with `data`
    Field,
    /// `GET /tx/pending`
    Pending,
    /// `GET /block/height/{n}`, `/block/hash/{hash}`, `/block/current`
    Block,
    /// `GET /chunk/{offset}`
    Chunk,
    /// `GET` or `HEAD` of `/{id}` and `/raw/{id}`
    Content,
    /// `POST /graphql`
    Graphql,
    /// `POST /v1/tx[/{token}]` and `/tx/{token}`
    Upload,
    /// `GET /v1/tx/{id}/status`
    UploadStatus,
    /// `/admin`; no fault touches it
    Admin,
    /// Everything else
    Other,
}

impl Route {
    /// All of them, in order.
    pub const ALL: [Self; 21] = [
        Self::Info,
        Self::Anchor,
        Self::Price,
        Self::Wallet,
        Self::Mint,
        Self::Mine,
        Self::PostTransaction,
        Self::PostChunk,
        Self::Transaction,
        Self::Status,
        Self::Offset,
        Self::Field,
        Self::Pending,
        Self::Block,
        Self::Chunk,
        Self::Content,
        Self::Graphql,
        Self::Upload,
        Self::UploadStatus,
        Self::Admin,
        Self::Other,
    ];
}

/// A request, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Info,
    Anchor,
    Price(u64, Option<Address>),
    Balance(Address),
    LastTransaction(Address),
    Mint(Address, u128),
    Mine(u64),
    PostTransaction,
    PostChunk,
    Transaction(Id),
    UnconfirmedTransaction(Id),
    TransactionPart(Id, Part),
    Data(Id),
    Pending,
    BlockAtHeight(u64),
    BlockWithHash([u8; 48]),
    CurrentBlock,
    Chunk(u64),
    Content(Id),
    Graphql,
    Upload,
    UploadStatus(Id),
    Counters,
    Command,
    /// The browser's question before it sends something.
    Preflight,
}

/// What is asked of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Status,
    Offset,
    Field(String),
}

/// Names of wallets' tokens that Turbo has in its upload paths.
const TOKENS: [&str; 9] =
    ["arweave", "ethereum", "solana", "matic", "pol", "kyve", "base-eth", "ario", "usdc"];

/// Understands a request's method and path.
pub(super) fn parse(method: &Method, path: &str) -> (Route, Result<Call, Refusal>) {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let read = *method == Method::GET || *method == Method::HEAD;
    let (route, call) = match (read, &parts[..]) {
        _ if *method == Method::OPTIONS => (Route::Other, Ok(Call::Preflight)),
        (true, [] | ["info"]) => (Route::Info, Ok(Call::Info)),
        (true, ["tx_anchor"]) => (Route::Anchor, Ok(Call::Anchor)),
        (true, ["price", bytes]) => (Route::Price, number(bytes).map(|bytes| Call::Price(bytes, None))),
        (true, ["price", bytes, target]) => (Route::Price, price(bytes, target)),
        (true, ["wallet", address, "balance"]) => (Route::Wallet, named(address).map(Call::Balance)),
        (true, ["wallet", address, "last_tx"]) => (Route::Wallet, named(address).map(Call::LastTransaction)),
        (true, ["mint", address, amount]) => (Route::Mint, mint(address, amount)),
        (true, ["mine"]) => (Route::Mine, Ok(Call::Mine(1))),
        (true, ["mine", blocks]) => (Route::Mine, number(blocks).map(Call::Mine)),
        (true, ["tx", "pending"]) => (Route::Pending, Ok(Call::Pending)),
        (true, ["tx", id]) => (Route::Transaction, hash(id).map(Call::Transaction)),
        (true, ["unconfirmed_tx", id]) => (Route::Transaction, hash(id).map(Call::UnconfirmedTransaction)),
        (true, ["tx", id, part]) => part_of(id, part),
        (true, ["block", "current"]) => (Route::Block, Ok(Call::CurrentBlock)),
        (true, ["block", "height", height]) => (
            Route::Block,
            number(height).map(Call::BlockAtHeight).map_err(|_| Refusal::text(400, "Invalid height.")),
        ),
        (true, ["block", "hash", text]) => (
            Route::Block,
            crate::base64url::decode_array("block hash", text)
                .map(Call::BlockWithHash)
                .map_err(|_| Refusal::text(404, "Block not found.")),
        ),
        (true, ["chunk", offset]) => {
            (Route::Chunk, number(offset).map(Call::Chunk).map_err(|_| Refusal::code("invalid_offset")))
        }
        (true, ["v1", "tx", id, "status"]) => (Route::UploadStatus, hash(id).map(Call::UploadStatus)),
        (true, ["admin"]) => (Route::Admin, Ok(Call::Counters)),
        (true, ["raw", id]) => (Route::Content, hash(id).map(Call::Content)),
        (true, [id]) if id.parse::<Id>().is_ok() => (Route::Content, hash(id).map(Call::Content)),
        (false, parts) if *method == Method::POST => post(parts),
        _ => (Route::Other, Err(Refusal::not_found())),
    };
    (route, call)
}

fn post(parts: &[&str]) -> (Route, Result<Call, Refusal>) {
    match parts {
        ["tx"] => (Route::PostTransaction, Ok(Call::PostTransaction)),
        ["chunk"] => (Route::PostChunk, Ok(Call::PostChunk)),
        ["graphql"] => (Route::Graphql, Ok(Call::Graphql)),
        ["v1", "tx"] => (Route::Upload, Ok(Call::Upload)),
        ["v1", "tx", token] | ["tx", token] if TOKENS.contains(token) => (Route::Upload, Ok(Call::Upload)),
        ["admin"] => (Route::Admin, Ok(Call::Command)),
        _ => (Route::Other, Err(Refusal::not_found())),
    }
}

fn part_of(id: &str, part: &str) -> (Route, Result<Call, Refusal>) {
    let (route, part) = match part {
        "status" => (Route::Status, Part::Status),
        "offset" => (Route::Offset, Part::Offset),
        "data" => return (Route::Field, hash(id).map(Call::Data)),
        field => (Route::Field, Part::Field(field.to_owned())),
    };
    (route, hash(id).map(|id| Call::TransactionPart(id, part)))
}

fn number(text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| Refusal::code("size_must_be_an_integer"))
}

fn hash(text: &str) -> Result<Id, Refusal> {
    text.parse().map_err(|_| Refusal::text(400, "Invalid hash."))
}

fn named(text: &str) -> Result<Address, Refusal> {
    text.parse().map_err(|_| Refusal::text(400, "Invalid address."))
}

fn price(bytes: &str, target: &str) -> Result<Call, Refusal> {
    Ok(Call::Price(number(bytes)?, Some(named(target)?)))
}

fn mint(address: &str, amount: &str) -> Result<Call, Refusal> {
    let amount = amount.parse().map_err(|_| Refusal::text(400, "Invalid amount."))?;
    Ok(Call::Mint(named(address)?, amount))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn routes_are_in_their_order() {
        for (at, route) in Route::ALL.into_iter().enumerate() {
            assert_eq!(route as usize, at);
        }
    }

    #[test]
    fn ids_are_told_from_words() {
        let id = Id([7; 32]);
        let call = |path: &str| parse(&Method::GET, path).1;
        assert_eq!(call(&format!("/{id}")), Ok(Call::Content(id)));
        assert_eq!(call(&format!("/raw/{id}")), Ok(Call::Content(id)));
        assert_eq!(call(&format!("/tx/{id}/data")), Ok(Call::Data(id)));
        assert_eq!(call("/tx/pending"), Ok(Call::Pending));
        assert_eq!(call("/tx/nonsense").unwrap_err().status, 400);
        assert_eq!(call("/nonsense").unwrap_err().status, 404);
        assert_eq!(parse(&Method::POST, "/tx/ethereum"), (Route::Upload, Ok(Call::Upload)));
        assert_eq!(parse(&Method::POST, "/tx/nonsense").1.unwrap_err().status, 404);
        assert_eq!(parse(&Method::PUT, "/tx").1.unwrap_err().status, 404);
    }

    proptest! {
        #[test]
        fn any_path_is_understood_or_refused(path in "(/[a-z0-9_%-]{0,50}){0,5}", post: bool) {
            let method = if post { Method::POST } else { Method::GET };
            if let (_, Err(refusal)) = parse(&method, &path) {
                prop_assert!(refusal.status.is_client_error());
            }
        }
    }
}
