//! What is answered to each call.

use super::{
    bundler, chunks,
    error::{GatewayError, Refusal},
    files::Temporary,
    graphql,
    http::{Reply, holding, json_reply, read_body, share, spool, text_reply},
    miner,
    network::Network,
    pool,
    records::{BlockRecord, State, TransactionRecord},
    routes::{Call, Part},
    store::{BLOCKS, Number, PENDING, View},
};
use crate::{Address, Id, base64url, chunk::CHUNK_JSON_BYTES_MAX};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use redb::ReadableTableMetadata;
use serde_json::{Value, json};
use std::sync::Arc;

const QUERY_BODY_BYTES_MAX: usize = 256 * 1024;
const COMMAND_BODY_BYTES_MAX: usize = 64 * 1024;

/// Carries out a call; one that brings something may be told to forget it and to say that all is well.
pub(super) async fn answer(
    network: &Arc<Network>,
    call: Call,
    request: Request<Incoming>,
    forget: bool,
) -> Result<Reply, GatewayError> {
    match call {
        Call::PostTransaction => {
            let body = read_body(network, request, super::TRANSACTION_BODY_BYTES_MAX).await?;
            if !forget {
                pool::post(network, body.bytes()).await?;
            }
            Ok(text_reply(StatusCode::OK, "OK"))
        }
        Call::PostChunk => {
            let body = read_body(network, request, CHUNK_JSON_BYTES_MAX).await?;
            if !forget {
                chunks::post(network, body.bytes()).await?;
            }
            Ok(text_reply(StatusCode::OK, "OK"))
        }
        Call::Upload => {
            let file = Temporary(network.store.files.temporary());
            spool(network, request, &file.0, network.config.limits.item_bytes).await?;
            bundler::take(network, file, forget).await.map(json_reply)
        }
        Call::Graphql => {
            let body = read_body(network, request, QUERY_BODY_BYTES_MAX).await?;
            let query = serde_json::from_slice(&body.bytes())
                .map_err(|error| Refusal::text(400, format!("not a GraphQL request: {error}")))?;
            let answer = graphql::answer(network, query).await;
            Ok(json_reply(serde_json::to_value(answer).map_err(|_| GatewayError::Damaged("an answer"))?))
        }
        Call::Command if network.config.admin => {
            let body = read_body(network, request, COMMAND_BODY_BYTES_MAX).await?;
            let command = serde_json::from_slice(&body.bytes())
                .map_err(|error| Refusal::text(400, format!("not a command: {error}")))?;
            super::carry_out(network, command).await?;
            Ok(text_reply(StatusCode::OK, "OK"))
        }
        Call::Mine(blocks) if network.config.open_mint => {
            let height = miner::mine(network, blocks).await?;
            Ok(json_reply(json!({ "height": height })))
        }
        Call::Mint(address, amount) if network.config.open_mint => {
            let balance = pool::mint(network, address, amount).await?;
            Ok(text_reply(StatusCode::OK, balance.to_string()))
        }
        Call::Preflight => Ok(text_reply(StatusCode::NO_CONTENT, "")),
        Call::Content(id) => content(network, &id, &request).await,
        Call::Data(id) => data(network, id).await,
        Call::Command | Call::Mine(_) | Call::Mint(..) => Err(Refusal::not_found().into()),
        call => network.read(move |network| look_up(network, call)).await,
    }
}

/// What only reads the index.
fn look_up(network: &Network, call: Call) -> Result<Reply, GatewayError> {
    let view = network.store.view()?;
    let text = |text: String| Ok(text_reply(StatusCode::OK, text));
    match call {
        Call::Info => info(network).map(json_reply),
        Call::Anchor => text(pool::suggested_anchor(&view)?.to_string()),
        Call::Price(bytes, target) => text(network.price(&view, bytes, target.as_ref())?.to_string()),
        Call::Balance(address) => text(network.balance(&view, &address)?.to_string()),
        Call::LastTransaction(address) => text(last_transaction(&view, &address)?),
        Call::Pending => Ok(json_reply(json!(pool::pending(&view, usize::MAX)?))),
        Call::Transaction(id) => Ok(json_reply(json!(mined(&view, &id)?.transaction))),
        Call::UnconfirmedTransaction(id) => match view.transaction(&id)? {
            Some(record) if record.state.height().is_some() => Ok(json_reply(json!(record.transaction))),
            _ => Err(Refusal::not_found().into()),
        },
        Call::TransactionPart(id, part) => {
            let record = mined(&view, &id)?;
            match part {
                Part::Status => status(&view, &record).map(json_reply),
                Part::Offset => offset(&record).map(json_reply),
                Part::Field(name) => field(&record, &name),
            }
        }
        Call::BlockAtHeight(height) => block(view.block(height)?),
        Call::BlockWithHash(hash) => match view.height_of(&hash)? {
            Some(height) => block(view.block(height)?),
            None => block(None),
        },
        Call::CurrentBlock => block(Some(view.tip()?)),
        Call::Chunk(offset) => chunks::get(network, offset).map(json_reply),
        Call::UploadStatus(id) => bundler::status(network, &id).map(json_reply),
        Call::Counters if network.config.admin => Ok(json_reply(json!(network.counters.read()))),
        _ => Err(Refusal::not_found().into()),
    }
}

fn info(network: &Network) -> Result<Value, GatewayError> {
    let view = network.store.view()?;
    let tip = view.tip()?;
    Ok(json!({
        "network": network.config.network,
        "version": 5,
        "release": 1,
        "height": tip.height,
        "current": tip.hash,
        "blocks": view.table(BLOCKS)?.len()?,
        "peers": 0,
        "queue_length": view.table(PENDING)?.len()?,
        "node_state_latency": 0,
        "weave_bytes": tip.weave_bytes,
        "stored_bytes": view.number(Number::StoredBytes)?,
    }))
}

fn last_transaction(view: &impl View, address: &Address) -> Result<String, GatewayError> {
    let account = view.account(address)?.unwrap_or_default();
    Ok(account.last_tx.map(|id| id.to_string()).unwrap_or_default())
}

/// A transaction in a block; refused as nodes do while it waits, when it was dropped, or when it is not known.
fn mined(view: &impl View, id: &Id) -> Result<TransactionRecord, GatewayError> {
    let record = view.transaction(id)?.ok_or_else(Refusal::not_found)?;
    match &record.state {
        State::Mined { .. } => Ok(record),
        State::Pending => Err(Refusal::text(202, "Pending").into()),
        State::Dropped(reason) => Err(Refusal::text(410, reason.clone()).into()),
    }
}

fn status(view: &impl View, record: &TransactionRecord) -> Result<Value, GatewayError> {
    let State::Mined { height, .. } = record.state else { return Err(Refusal::not_found().into()) };
    let block = view.block(height)?.ok_or(GatewayError::Damaged("a transaction's block"))?;
    Ok(json!({
        "block_height": height,
        "block_indep_hash": block.hash,
        "number_of_confirmations": view.tip()?.height - height + 1,
    }))
}

fn offset(record: &TransactionRecord) -> Result<Value, GatewayError> {
    match record.state {
        State::Mined { weave_start, .. } if record.transaction.data_size > 0 => Ok(json!({
            "offset": (weave_start + record.transaction.data_size).to_string(),
            "size": record.transaction.data_size.to_string(),
        })),
        _ => Err(Refusal::not_found().into()),
    }
}

/// The data in base64url, of up to 12 MiB, as nodes serve it.
async fn data(network: &Arc<Network>, id: Id) -> Result<Reply, GatewayError> {
    let find = move |network: &Network| {
        let view = network.store.view()?;
        mined(&view, &id)?;
        network.content(&view, &id)
    };
    let found = network.read(find).await?;
    if found.length > pool::INLINE_DATA_BYTES_MAX as u64 {
        return Err(Refusal::code("tx_data_too_big").into());
    }
    let Some(source) = found.source else { return Ok(text_reply(StatusCode::OK, "")) };
    // The bytes and their text.
    let permit = share(network, found.length * 7 / 3 + 4).await?;
    let read = move |network: &Network| {
        network.store.files.read(&source, found.start, found.length as usize).map(base64url::encode)
    };
    let text = network.work(read).await?;
    Ok(holding(text_reply(StatusCode::OK, text), permit))
}

fn field(record: &TransactionRecord, name: &str) -> Result<Reply, GatewayError> {
    let whole = json!(record.transaction);
    Ok(match whole.get(name) {
        Some(Value::String(text)) => text_reply(StatusCode::OK, text.clone()),
        Some(value) => json_reply(value.clone()),
        None => return Err(Refusal::not_found().into()),
    })
}

fn block(record: Option<BlockRecord>) -> Result<Reply, GatewayError> {
    match record {
        Some(block) => Ok(json_reply(miner::block_json(&block))),
        None => Err(Refusal::text(404, "Block not found.").into()),
    }
}

async fn content(
    network: &Arc<Network>,
    id: &Id,
    request: &Request<Incoming>,
) -> Result<Reply, GatewayError> {
    let id = *id;
    let find = move |network: &Network| network.content(&network.store.view()?, &id);
    let found = network.read(find).await?;
    super::http::content_reply(network, &id, found, request).await
}
