//! Searching a gateway's index by tags, owners and blocks.
//!
//! Which lies are possible here: all of them. A gateway may leave results out, make them up, or alter any field; what is found is
//! a hint that leads to something that verifies itself. To find what one gateway hides, ask all of them.

use super::{Client, failover::Base};
use crate::{
    Address, DataItem, Error, FormatError, Id, Tag, base64url,
    id::parse_decimal,
    item::{ItemHeader, SignatureType},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, HashSet},
    ops::RangeInclusive,
};

/// Most results of one page, which is what gateways allow.
pub const PAGE_MAX: usize = 100;
/// Most bytes of a page: 100 results of at most 40 kB (keys, signatures, tags).
const PAGE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most characters of a cursor.
const CURSOR_CHARS_MAX: usize = 1024;

/// What to look for. All conditions hold; an empty one always does.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Any of these ids.
    pub ids: Vec<Id>,
    /// Any of these owners.
    pub owners: Vec<Address>,
    /// For each of these names, one of the values.
    pub tags: Vec<(String, Vec<String>)>,
    /// In blocks of these heights.
    pub blocks: Option<RangeInclusive<u64>>,
    /// Oldest first instead of newest first.
    pub ascending: bool,
}

/// A transaction or item as an index tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: Id,
    /// The owner's address.
    pub owner: Address,
    /// The owner's public key.
    pub owner_key: Bytes,
    /// The signature.
    pub signature: Bytes,
    /// The recipient.
    pub recipient: Option<Address>,
    /// The anchor.
    pub anchor: Bytes,
    /// Names and values.
    pub tags: Vec<Tag>,
    /// Bytes of its data.
    pub data_size: u64,
    /// Its block; none while it is pending.
    pub block: Option<FoundBlock>,
    /// The bundle that it is in; none for a transaction.
    pub bundled_in: Option<Id>,
}

/// A block as an index tells it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FoundBlock {
    /// Its hash.
    pub id: String,
    /// Its height.
    pub height: u64,
    /// Its time in seconds.
    pub timestamp: u64,
}

/// A page of results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The results.
    pub found: Vec<Found>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

impl Found {
    /// The fields of a data item. The type of its key follows from the lengths.
    pub fn item_header(&self) -> Result<ItemHeader, FormatError> {
        let malformed = |reason| FormatError::Malformed { field: "item", reason };
        let kinds = [SignatureType::Arweave, SignatureType::Ed25519, SignatureType::Ethereum];
        let lengths = (self.signature.len(), self.owner_key.len());
        let signature_type = kinds
            .into_iter()
            .find(|kind| (kind.signature_bytes(), kind.owner_bytes()) == lengths)
            .ok_or(malformed("a key of another type, or not told by the index"))?;
        let anchor = match self.anchor.len() {
            0 => None,
            _ => Some(self.anchor[..].try_into().map_err(|_| malformed("an anchor of another length"))?),
        };
        Ok(ItemHeader {
            signature_type,
            signature: self.signature.clone(),
            owner: self.owner_key.clone(),
            target: self.recipient,
            anchor,
            tags: self.tags.clone(),
        })
    }

    /// The data item with this data; verified, and with this id.
    pub fn item_with(&self, data: &[u8]) -> Result<DataItem, FormatError> {
        let item = DataItem::from_parts(self.item_header()?, data)?;
        if item.id() != self.id {
            return Err(FormatError::WrongId { expected: self.id, found: item.id() });
        }
        item.verify()?;
        Ok(item)
    }
}

const QUERY: &str = "query($ids: [ID!], $owners: [String!], $tags: [TagFilter!], $block: BlockFilter, $first: Int, \
     $after: String, $sort: SortOrder) { transactions(ids: $ids, owners: $owners, tags: $tags, block: $block, \
     first: $first, after: $after, sort: $sort) { pageInfo { hasNextPage } edges { cursor node { id anchor signature \
     recipient owner { address key } data { size } tags { name value } block { id height timestamp } \
     bundledIn { id } } } } }";

#[derive(Serialize)]
struct Request {
    query: &'static str,
    variables: Map<String, Value>,
}

#[derive(Deserialize)]
struct Response {
    data: Option<Data>,
    #[serde(default)]
    errors: Option<Value>,
}

#[derive(Deserialize)]
struct Data {
    transactions: Connection,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    page_info: PageInfo,
    edges: Vec<Edge>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
}

#[derive(Deserialize)]
struct Edge {
    cursor: String,
    node: Node,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: Id,
    #[serde(default)]
    anchor: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    recipient: Option<String>,
    owner: NodeOwner,
    data: NodeData,
    tags: Vec<NodeTag>,
    block: Option<FoundBlock>,
    bundled_in: Option<NodeBundle>,
}

#[derive(Deserialize)]
struct NodeOwner {
    address: Address,
    #[serde(default)]
    key: Option<String>,
}

#[derive(Deserialize)]
struct NodeData {
    size: String,
}

#[derive(Deserialize)]
struct NodeTag {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct NodeBundle {
    id: Id,
}

impl TryFrom<Node> for Found {
    type Error = FormatError;

    fn try_from(node: Node) -> Result<Self, FormatError> {
        let bytes = |field, text: Option<String>| {
            base64url::decode(field, text.as_deref().unwrap_or_default()).map(Bytes::from)
        };
        let recipient = node.recipient.filter(|text| !text.is_empty());
        Ok(Self {
            id: node.id,
            owner: node.owner.address,
            owner_key: bytes("owner", node.owner.key)?,
            signature: bytes("signature", node.signature)?,
            recipient: recipient.map(|text| text.parse()).transpose()?,
            anchor: bytes("anchor", node.anchor)?,
            tags: node.tags.into_iter().map(|tag| Tag::new(tag.name, tag.value)).collect(),
            data_size: parse_decimal("data size", &node.data.size)?,
            block: node.block,
            bundled_in: node.bundled_in.map(|bundle| bundle.id),
        })
    }
}

impl Query {
    /// Everything with these tags by this owner.
    pub fn by(owner: Address, tags: &[(&str, &str)]) -> Self {
        let tags = tags.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect();
        Self { owners: vec![owner], tags, ..Self::default() }
    }

    fn variables(&self, after: Option<&str>) -> Map<String, Value> {
        let mut variables = Map::new();
        let mut set = |name: &str, value: Value| variables.insert(name.to_owned(), value);
        set("first", PAGE_MAX.into());
        set("sort", if self.ascending { "HEIGHT_ASC" } else { "HEIGHT_DESC" }.into());
        if !self.ids.is_empty() {
            set("ids", json!(self.ids));
        }
        if !self.owners.is_empty() {
            set("owners", json!(self.owners));
        }
        if !self.tags.is_empty() {
            let filter = |(name, values): &(String, Vec<String>)| json!({ "name": name, "values": values });
            set("tags", self.tags.iter().map(filter).collect());
        }
        if let Some(blocks) = &self.blocks {
            set("block", json!({ "min": blocks.start(), "max": blocks.end() }));
        }
        if let Some(after) = after {
            set("after", after.into());
        }
        variables
    }
}

impl Client {
    /// A page of results from the first gateway that answers, after a cursor of the same gateway.
    pub async fn untrusted_page(&self, query: &Query, after: Option<&str>) -> Result<Page, Error> {
        self.ask_gateways(PAGE_BYTES_MAX, |base| self.page_of(base, query, after)).await
    }

    /// Up to `limit` results, page by page, from all gateways, each result once and in the order of its first gateway. Fails
    /// only if no gateway answers: one that hides results cannot hide those of another.
    pub async fn untrusted_find(&self, query: &Query, limit: usize) -> Result<Vec<Found>, Error> {
        let mut all = BTreeMap::new();
        let mut failure = None;
        let mut answered = false;
        for gateway in &self.config.gateways {
            match self.find_at(&gateway.into(), query, limit).await {
                Ok(found) => {
                    answered = true;
                    for found in found {
                        let at = all.len();
                        all.entry(found.id).or_insert((at, found));
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        if let Some(error) = failure.filter(|_| !answered) {
            return Err(error);
        }
        let mut found: Vec<_> = all.into_values().collect();
        found.sort_by_key(|(at, _)| *at);
        found.truncate(limit);
        Ok(found.into_iter().map(|(_, found)| found).collect())
    }

    pub(super) async fn find_one(&self, base: Base, id: Id) -> Result<Found, Error> {
        let query = Query { ids: vec![id], ..Query::default() };
        let page = self.page_of(base, &query, None).await?;
        let found = page.found.into_iter().find(|found| found.id == id);
        found.ok_or_else(|| Error::NotFound(id.to_string()))
    }

    async fn find_at(&self, base: &Base, query: &Query, limit: usize) -> Result<Vec<Found>, Error> {
        let (mut found, mut cursors, mut after) = (Vec::new(), HashSet::new(), None::<String>);
        loop {
            let cursor = after.as_deref();
            let page = self
                .ask(std::slice::from_ref(base), PAGE_BYTES_MAX, |base| self.page_of(base, query, cursor));
            let (_, page) = page.await?;
            let empty = page.found.is_empty();
            found.extend(page.found);
            match page.next {
                // A gateway that repeats itself would keep us for ever.
                Some(next) if !empty && found.len() < limit && cursors.insert(next.clone()) => {
                    after = Some(next);
                }
                _ => return Ok(found),
            }
        }
    }

    async fn page_of(&self, base: Base, query: &Query, after: Option<&str>) -> Result<Page, Error> {
        let request = Request { query: QUERY, variables: query.variables(after) };
        let request = self.http.post(base.at("graphql")).json(&request);
        let answer = self.http.send(request, PAGE_BYTES_MAX).await?.success(|| "graphql".to_owned())?;
        let response: Response = answer.json()?;
        let malformed = |reason| answer.wrong(FormatError::Malformed { field: "graphql", reason });
        let Some(data) = response.data.filter(|_| response.errors.is_none()) else {
            tracing::debug!(target: "arweave", reason = answer.reason(), "graphql refused");
            return Err(malformed("the query was refused"));
        };
        let Connection { page_info, edges } = data.transactions;
        if edges.len() > PAGE_MAX {
            return Err(malformed("more results than a page has"));
        }
        let next = edges.last().map(|edge| edge.cursor.clone()).filter(|_| page_info.has_next_page);
        if next.as_ref().is_some_and(|next| next.len() > CURSOR_CHARS_MAX) {
            return Err(malformed("a cursor that is too long"));
        }
        let found: Result<Vec<Found>, FormatError> =
            edges.into_iter().map(|edge| edge.node.try_into()).collect();
        Ok(Page { found: found.map_err(|error| answer.wrong(error))?, next })
    }
}
