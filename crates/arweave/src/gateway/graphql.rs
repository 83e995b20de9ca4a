//! `POST /graphql`: transactions and items by id, owner, recipient, bundle and tags, and blocks, as Arweave's gateways have it.
//!
//! Same names, arguments and shapes as theirs; what waits for a block has no block, and comes first from the newest and
//! last from the oldest. Bounds: depth, fields, recursion and directives of a query, [`TERMS_MAX`] values in its filters,
//! the page and the entries it looks at by [`Limits`](super::Limits).

use super::{
    error::{GatewayError, Refusal},
    index::{self, Place, Query as IndexQuery, Term},
    network::Network,
    records::{BlockRecord, ItemRecord, State, TransactionRecord},
    store::{BLOCKS, View},
};
use crate::{Address, Id, Tag as AnyTag, base64url, tag::value_of};
use async_graphql::{
    Context, EmptyMutation, EmptySubscription, Enum, ID, InputObject, Object, Request, Response, Result,
    Schema, SimpleObject,
};
use std::{collections::HashMap, sync::Arc};

const DEPTH_MAX: usize = 12;
const FIELDS_MAX: usize = 250;
const RECURSION_MAX: usize = 24;
const DIRECTIVES_MAX: usize = 8;
/// Values in all filters of a query.
const TERMS_MAX: usize = 1_000;
const PAGE_DEFAULT: usize = 10;

type GatewaySchema = Schema<Query, EmptyMutation, EmptySubscription>;

/// Answers a query.
pub(super) async fn answer(network: &Arc<Network>, request: Request) -> Response {
    static SCHEMA: std::sync::LazyLock<GatewaySchema> = std::sync::LazyLock::new(|| {
        Schema::build(Query, EmptyMutation, EmptySubscription)
            .limit_depth(DEPTH_MAX)
            .limit_complexity(FIELDS_MAX)
            .limit_recursive_depth(RECURSION_MAX)
            .limit_directives(DIRECTIVES_MAX)
            .finish()
    });
    SCHEMA.execute(request.data(Arc::clone(network))).await
}

struct Query;

#[Object]
impl Query {
    /// A transaction or an item.
    async fn transaction(&self, context: &Context<'_>, id: ID) -> Result<Option<Transaction>> {
        let group = vec![parse(&id).map(|id| index::id(&id))?];
        let query = IndexQuery {
            all: vec![group],
            none: Vec::new(),
            heights: None,
            ascending: false,
            after: None,
            first: 1,
        };
        Ok(run(context, query).await?.pop().map(|(_, transaction)| transaction))
    }

    /// Transactions and items, a page at a time.
    #[allow(clippy::too_many_arguments, reason = "the arguments of the query language")]
    async fn transactions(
        &self,
        context: &Context<'_>,
        ids: Option<Vec<ID>>,
        owners: Option<Vec<String>>,
        recipients: Option<Vec<String>>,
        tags: Option<Vec<TagFilter>>,
        bundled_in: Option<Vec<ID>>,
        block: Option<BlockFilter>,
        first: Option<usize>,
        after: Option<String>,
        sort: Option<SortOrder>,
    ) -> Result<TransactionConnection> {
        let network: &Arc<Network> = context.data()?;
        let page = first.unwrap_or(PAGE_DEFAULT).min(network.config.limits.page).max(1);
        let mut all = Vec::new();
        all.extend(group(ids, |id| Ok(index::id(&parse(&id)?)))?);
        all.extend(group(bundled_in, |id| Ok(index::bundle(&parse(&id)?)))?);
        all.extend(group(owners, |address| Ok(index::owner(&parse::<Address>(&address)?)))?);
        all.extend(group(recipients, |address| Ok(index::recipient(&parse::<Address>(&address)?)))?);
        let mut none = Vec::new();
        for TagFilter { name, values, op } in tags.unwrap_or_default() {
            let terms = values.iter().map(|value| index::tag(name.as_bytes(), value.as_bytes()));
            match op.unwrap_or_default() {
                TagOperator::Eq => all.push(terms.collect()),
                TagOperator::Neq => none.extend(terms),
            }
        }
        if all.iter().map(Vec::len).sum::<usize>() + none.len() > TERMS_MAX {
            return Err("too many values in the filters".into());
        }
        let heights = block.map(|filter| (filter.min.unwrap_or_default(), filter.max.unwrap_or(u64::MAX)));
        let ascending = sort.unwrap_or_default() == SortOrder::HeightAsc;
        let after = after.filter(|cursor| !cursor.is_empty()).map(|cursor| place(&cursor)).transpose()?;
        // One more than the page tells whether there is another one.
        let query = IndexQuery { all, none, heights, ascending, after, first: page + 1 };
        let mut found = run(context, query).await?;
        let has_next_page = found.len() > page;
        found.truncate(page);
        let edges =
            found.into_iter().map(|(place, node)| TransactionEdge { cursor: cursor(place), node }).collect();
        Ok(TransactionConnection { page_info: PageInfo { has_next_page }, edges })
    }

    /// A block by its hash.
    async fn block(&self, context: &Context<'_>, id: Option<String>) -> Result<Option<Block>> {
        let network: &Arc<Network> = context.data()?;
        let Some(id) = id else { return Ok(None) };
        let hash = base64url::decode_array("block hash", &id).map_err(|error| error.to_string())?;
        let found = network.work(move |network| {
            let view = network.store.view()?;
            match view.height_of(&hash)? {
                Some(height) => view.block(height),
                None => Ok(None),
            }
        });
        Ok(found.await.map_err(tell)?.as_ref().map(Block::from))
    }

    /// Blocks, a page at a time.
    async fn blocks(
        &self,
        context: &Context<'_>,
        ids: Option<Vec<ID>>,
        height: Option<BlockFilter>,
        first: Option<usize>,
        after: Option<String>,
        sort: Option<SortOrder>,
    ) -> Result<BlockConnection> {
        let network: &Arc<Network> = context.data()?;
        let page = first.unwrap_or(PAGE_DEFAULT).min(network.config.limits.page).max(1);
        let ids: Option<Vec<String>> = ids.map(|ids| ids.into_iter().map(|id| id.0).collect());
        if ids.as_ref().is_some_and(|ids| ids.len() > TERMS_MAX) {
            return Err("too many values in the filters".into());
        }
        let ascending = sort.unwrap_or_default() == SortOrder::HeightAsc;
        let filter = height.unwrap_or_default();
        let (mut low, mut high) = (filter.min.unwrap_or_default(), filter.max.unwrap_or(u64::MAX));
        if let Some(cursor) = after.filter(|cursor| !cursor.is_empty()) {
            let place = place(&cursor)?;
            match ascending {
                true => low = low.max(place.height.saturating_add(1)),
                false => high = high.min(place.height.saturating_sub(1)),
            }
        }
        let scan = network.config.limits.scan;
        let find = move |network: &Network| {
            find_blocks(&network.store.view()?, low, high, ascending, page + 1, ids.as_deref(), scan)
        };
        let mut found = network.work(find).await.map_err(tell)?;
        let has_next_page = found.len() > page;
        found.truncate(page);
        let edge = |block: &BlockRecord| BlockEdge {
            cursor: cursor(Place { height: block.height, sequence: 0 }),
            node: block.into(),
        };
        Ok(BlockConnection { page_info: PageInfo { has_next_page }, edges: found.iter().map(edge).collect() })
    }
}

fn find_blocks(
    view: &impl View,
    low: u64,
    high: u64,
    ascending: bool,
    most: usize,
    ids: Option<&[String]>,
    scan: usize,
) -> Result<Vec<BlockRecord>, GatewayError> {
    use redb::ReadableTable;
    if low > high {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    let blocks = view.table(BLOCKS)?;
    let mut range = blocks.range(low..=high)?;
    for _ in 0..scan {
        let entry = if ascending { range.next() } else { range.next_back() };
        let Some((height, _)) = entry.transpose()? else { break };
        let block = view.block(height.value())?.ok_or(GatewayError::Damaged("a listed block"))?;
        if ids.is_none_or(|ids| ids.contains(&block.hash.to_string())) {
            found.push(block);
        }
        if found.len() == most {
            break;
        }
    }
    Ok(found)
}

/// One filter's values as terms; no filter where there are no values.
fn group<T>(values: Option<Vec<T>>, term: impl Fn(T) -> Result<Term>) -> Result<Option<Vec<Term>>> {
    match values {
        Some(values) if !values.is_empty() => values.into_iter().map(term).collect::<Result<_>>().map(Some),
        _ => Ok(None),
    }
}

fn parse<T: std::str::FromStr<Err = crate::FormatError>>(text: &str) -> Result<T> {
    text.parse().map_err(|error: crate::FormatError| error.to_string().into())
}

fn cursor(place: Place) -> String {
    base64url::encode([place.height.to_be_bytes(), place.sequence.to_be_bytes()].concat())
}

fn place(cursor: &str) -> Result<Place> {
    let bytes: [u8; 16] = base64url::decode_array("cursor", cursor).map_err(|error| error.to_string())?;
    let number = u128::from_be_bytes(bytes);
    Ok(Place { height: (number >> 64) as u64, sequence: number as u64 })
}

/// What a client is told of a failure.
fn tell(error: GatewayError) -> async_graphql::Error {
    match error {
        GatewayError::Refused(Refusal { text, .. }) => text.into(),
        error => {
            tracing::error!(target: "weft::arweave::gateway", %error, "query failed");
            "internal error".into()
        }
    }
}

async fn run(context: &Context<'_>, query: IndexQuery) -> Result<Vec<(Place, Transaction)>> {
    let network: &Arc<Network> = context.data()?;
    let found = network.work(move |network| {
        let view = network.store.view()?;
        let mut blocks = HashMap::new();
        let mut nodes = Vec::new();
        for (place, id) in query.run(&view, network.config.limits.scan)? {
            nodes.push((place, node(&view, &id, &mut blocks)?));
        }
        Ok(nodes)
    });
    found.await.map_err(tell)
}

fn node(view: &impl View, id: &Id, blocks: &mut HashMap<u64, Block>) -> Result<Transaction, GatewayError> {
    if let Some(record) = view.transaction(id)? {
        let block = block_of(view, &record, blocks)?;
        return Ok(Transaction::of_transaction(&record, block));
    }
    let item = view.item(id)?.ok_or(GatewayError::Damaged("the index knows what is not there"))?;
    let carrier = match &item.carrier {
        Some(carrier) => view.transaction(carrier)?,
        None => None,
    };
    let block = match &carrier {
        Some(carrier) => block_of(view, carrier, blocks)?,
        None => None,
    };
    Ok(Transaction::of_item(id, &item, block))
}

fn block_of(
    view: &impl View,
    record: &TransactionRecord,
    blocks: &mut HashMap<u64, Block>,
) -> Result<Option<Block>, GatewayError> {
    let State::Mined { height, .. } = record.state else { return Ok(None) };
    if let Some(block) = blocks.get(&height) {
        return Ok(Some(block.clone()));
    }
    let block = view.block(height)?.ok_or(GatewayError::Damaged("a transaction's block"))?;
    let block = blocks.entry(height).insert_entry((&block).into());
    Ok(Some(block.get().clone()))
}

/// In which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Enum)]
enum SortOrder {
    /// Oldest block first.
    HeightAsc,
    /// Newest block first.
    #[default]
    HeightDesc,
}

/// How a tag is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Enum)]
enum TagOperator {
    /// Has one of the values.
    #[default]
    Eq,
    /// Has none of them.
    Neq,
}

#[derive(InputObject)]
struct TagFilter {
    name: String,
    values: Vec<String>,
    op: Option<TagOperator>,
}

/// Heights, both included.
#[derive(InputObject, Default)]
struct BlockFilter {
    min: Option<u64>,
    max: Option<u64>,
}

#[derive(SimpleObject)]
struct PageInfo {
    has_next_page: bool,
}

#[derive(SimpleObject)]
struct TransactionConnection {
    page_info: PageInfo,
    edges: Vec<TransactionEdge>,
}

#[derive(SimpleObject)]
struct TransactionEdge {
    cursor: String,
    node: Transaction,
}

#[derive(SimpleObject)]
struct BlockConnection {
    page_info: PageInfo,
    edges: Vec<BlockEdge>,
}

#[derive(SimpleObject)]
struct BlockEdge {
    cursor: String,
    node: Block,
}

#[derive(SimpleObject)]
struct Transaction {
    id: ID,
    anchor: String,
    signature: String,
    recipient: String,
    owner: Owner,
    fee: Amount,
    quantity: Amount,
    data: MetaData,
    tags: Vec<Tag>,
    block: Option<Block>,
    parent: Option<Parent>,
    bundled_in: Option<Parent>,
}

impl Transaction {
    fn of_transaction(record: &TransactionRecord, block: Option<Block>) -> Self {
        let transaction = &record.transaction;
        Self {
            id: transaction.id.to_string().into(),
            anchor: transaction.last_tx.to_string(),
            signature: base64url::encode(&transaction.signature),
            recipient: transaction.target.map(|target| target.to_string()).unwrap_or_default(),
            owner: Owner {
                address: transaction.owner.address().to_string(),
                key: base64url::encode(transaction.owner.as_bytes()),
            },
            fee: Amount::of(transaction.reward.0),
            quantity: Amount::of(transaction.quantity.0),
            data: MetaData::of(transaction.data_size, &transaction.tags),
            tags: tags(&transaction.tags),
            block,
            parent: None,
            bundled_in: None,
        }
    }

    fn of_item(id: &Id, item: &ItemRecord, block: Option<Block>) -> Self {
        let header = &item.header;
        let bundle = || item.bundled_in.map(|id| Parent { id: id.to_string().into() });
        Self {
            id: id.to_string().into(),
            anchor: header.anchor.clone(),
            signature: header.signature.clone(),
            recipient: header.target.map(|target| target.to_string()).unwrap_or_default(),
            owner: Owner { address: header.address.to_string(), key: header.owner.clone() },
            fee: Amount::of(0),
            quantity: Amount::of(0),
            data: MetaData::of(item.end - item.data_start, &header.tags),
            tags: tags(&header.tags),
            block,
            parent: bundle(),
            bundled_in: bundle(),
        }
    }
}

#[derive(SimpleObject)]
struct Owner {
    address: String,
    key: String,
}

#[derive(SimpleObject)]
struct Amount {
    winston: String,
    ar: String,
}

impl Amount {
    fn of(winston: u128) -> Self {
        const AR: u128 = 1_000_000_000_000;
        Self { winston: winston.to_string(), ar: format!("{}.{:012}", winston / AR, winston % AR) }
    }
}

#[derive(SimpleObject)]
struct MetaData {
    size: String,
    #[graphql(name = "type")]
    content_type: Option<String>,
}

impl MetaData {
    fn of(size: u64, tags: &[AnyTag]) -> Self {
        let content_type = value_of(tags, "Content-Type").map(|value| String::from_utf8_lossy(value).into());
        Self { size: size.to_string(), content_type }
    }
}

#[derive(SimpleObject)]
struct Tag {
    name: String,
    value: String,
}

fn tags(tags: &[AnyTag]) -> Vec<Tag> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    tags.iter().map(|tag| Tag { name: text(&tag.name), value: text(&tag.value) }).collect()
}

#[derive(SimpleObject)]
struct Parent {
    id: ID,
}

#[derive(Clone, SimpleObject)]
struct Block {
    id: ID,
    timestamp: u64,
    height: u64,
    previous: ID,
}

impl From<&BlockRecord> for Block {
    fn from(block: &BlockRecord) -> Self {
        Self {
            id: block.hash.to_string().into(),
            timestamp: block.timestamp,
            height: block.height,
            previous: block.previous.map(|hash| hash.to_string()).unwrap_or_default().into(),
        }
    }
}
