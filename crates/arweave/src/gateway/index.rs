//! The query index: who is found by which id, owner, recipient, bundle or tag, in the order of blocks.
//!
//! One table. A key is a hash of what is looked for, then height and sequence; so everything with a tag, say, lies together
//! in the order in which queries want it, and whether a thing has a tag is one look-up. What waits for a block has the
//! height [`PENDING_HEIGHT`]. The entries of a transaction, and of all items that it carries, move when it is mined
//! or loses its block.

use super::{
    error::{GatewayError, Refusal},
    records::{ItemRecord, PENDING_HEIGHT, TransactionRecord},
    store::{Batch, CARRIED, INDEX, View},
};
use crate::{Address, Id, Tag};
use redb::ReadableTable;
use sha2::{Digest, Sha256};
use std::collections::BinaryHeap;

/// What is looked for.
pub(super) type Term = [u8; 32];

/// Entries that are counted to find the rarest term of a query.
const PROBE: usize = 64;

fn term(kind: &str, parts: &[&[u8]]) -> Term {
    let mut hasher = Sha256::new_with_prefix(kind);
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

pub(super) fn everything() -> Term {
    term("everything", &[])
}

pub(super) fn id(id: &Id) -> Term {
    term("id", &[&id.0])
}

pub(super) fn owner(address: &Address) -> Term {
    term("owner", &[&address.0])
}

pub(super) fn recipient(address: &Address) -> Term {
    term("recipient", &[&address.0])
}

pub(super) fn bundle(id: &Id) -> Term {
    term("bundle", &[&id.0])
}

pub(super) fn tag(name: &[u8], value: &[u8]) -> Term {
    term("tag", &[name, value])
}

fn terms(
    own_id: &Id,
    address: &Address,
    target: Option<&Address>,
    bundled_in: Option<&Id>,
    tags: &[Tag],
) -> Vec<Term> {
    let mut terms = vec![everything(), id(own_id), owner(address)];
    terms.extend(target.map(recipient));
    terms.extend(bundled_in.map(bundle));
    terms.extend(tags.iter().map(|each| tag(&each.name, &each.value)));
    terms
}

fn terms_of_transaction(record: &TransactionRecord) -> Vec<Term> {
    let transaction = &record.transaction;
    let address = transaction.owner.address();
    terms(&transaction.id, &address, transaction.target.as_ref(), None, &transaction.tags)
}

fn terms_of_item(id: &Id, item: &ItemRecord) -> Vec<Term> {
    let header = &item.header;
    terms(id, &header.address, header.target.as_ref(), item.bundled_in.as_ref(), &header.tags)
}

/// Puts an item at a height.
pub(super) fn add_item(batch: &Batch, id: &Id, item: &ItemRecord, height: u64) -> Result<(), GatewayError> {
    change(batch, &terms_of_item(id, item), id, item.sequence, None, Some(height))
}

/// Takes an item away from a height.
pub(super) fn remove_item(
    batch: &Batch,
    id: &Id,
    item: &ItemRecord,
    height: u64,
) -> Result<(), GatewayError> {
    change(batch, &terms_of_item(id, item), id, item.sequence, Some(height), None)
}

/// Moves a transaction, and the items that it carries, from one height to another. Nothing: not in the index.
pub(super) fn move_transaction(
    batch: &Batch,
    record: &TransactionRecord,
    from: Option<u64>,
    to: Option<u64>,
) -> Result<(), GatewayError> {
    let id = record.transaction.id;
    change(batch, &terms_of_transaction(record), &id, record.sequence, from, to)?;
    let mut next = 0;
    loop {
        let found = {
            let carried = batch.table(CARRIED)?;
            let entry = carried.range((&id.0, next)..=(&id.0, u64::MAX))?.next().transpose()?;
            entry.map(|(key, value)| (key.value().1, Id(*value.value())))
        };
        let Some((sequence, item_id)) = found else { return Ok(()) };
        let item = batch.item(&item_id)?.ok_or(GatewayError::Damaged("a carried item is not there"))?;
        change(batch, &terms_of_item(&item_id, &item), &item_id, sequence, from, to)?;
        next = sequence + 1;
    }
}

fn change(
    batch: &Batch,
    terms: &[Term],
    id: &Id,
    sequence: u64,
    from: Option<u64>,
    to: Option<u64>,
) -> Result<(), GatewayError> {
    let mut index = batch.table(INDEX)?;
    for term in terms {
        if let Some(height) = from {
            index.remove((term, height, sequence))?;
        }
        if let Some(height) = to {
            index.insert((term, height, sequence), &id.0)?;
        }
    }
    Ok(())
}

/// A place in the order of a query: height, then sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) height: u64,
    pub(super) sequence: u64,
}

impl Place {
    const FIRST: Self = Self { height: 0, sequence: 0 };
    const LAST: Self = Self { height: PENDING_HEIGHT, sequence: u64::MAX };

    fn before(self) -> Option<Self> {
        let number = self.number().checked_sub(1)?;
        Some(Self { height: (number >> 64) as u64, sequence: number as u64 })
    }

    fn after(self) -> Option<Self> {
        let number = self.number().checked_add(1)?;
        Some(Self { height: (number >> 64) as u64, sequence: number as u64 })
    }

    fn number(self) -> u128 {
        u128::from(self.height) << 64 | u128::from(self.sequence)
    }
}

/// What a query asks for.
#[derive(Clone, Debug)]
pub(super) struct Query {
    /// Each group: at least one of its terms.
    pub(super) all: Vec<Vec<Term>>,
    /// None of these.
    pub(super) none: Vec<Term>,
    /// Lowest and highest block, both included; nothing: what waits for a block as well.
    pub(super) heights: Option<(u64, u64)>,
    pub(super) ascending: bool,
    /// Begin after this place.
    pub(super) after: Option<Place>,
    /// Most results.
    pub(super) first: usize,
}

impl Query {
    /// The results in their order. Refused when more than `scan` entries would have to be looked at.
    pub(super) fn run(&self, view: &impl View, scan: usize) -> Result<Vec<(Place, Id)>, GatewayError> {
        let Some((low, high)) = self.bounds() else { return Ok(Vec::new()) };
        let index = view.table(INDEX)?;
        let range = |term| (term, low.height, low.sequence)..=(term, high.height, high.sequence);
        let everything = vec![everything()];
        // The rarest group leads; the others are looked up.
        let (mut leader, mut fewest) = (&everything, usize::MAX);
        for group in &self.all {
            let mut count = 0;
            for term in group {
                count += index.range(range(term))?.take(PROBE).count();
            }
            if count < fewest {
                (leader, fewest) = (group, count);
            }
        }
        let mut entries = Vec::with_capacity(leader.len());
        for term in leader {
            entries.push(index.range(range(term))?);
        }
        let mut next = |at: usize| -> Result<Option<(u128, usize, Place, Id)>, GatewayError> {
            let entry = if self.ascending { entries[at].next() } else { entries[at].next_back() };
            let Some((key, value)) = entry.transpose()? else { return Ok(None) };
            let (_, height, sequence) = key.value();
            let place = Place { height, sequence };
            let rank = if self.ascending { !place.number() } else { place.number() };
            Ok(Some((rank, at, place, Id(*value.value()))))
        };
        let mut heads = BinaryHeap::new();
        for at in 0..leader.len() {
            heads.extend(next(at)?);
        }
        let (mut found, mut last, mut seen) = (Vec::new(), None, 0);
        while let Some((_, at, place, id)) = heads.pop() {
            heads.extend(next(at)?);
            seen += 1;
            if seen > scan {
                return Err(Refusal::text(400, "the query looks at too much: narrow it").into());
            }
            // A thing may have several terms of the leading group.
            if last.replace(place) == Some(place) || !self.fits(&index, place)? {
                continue;
            }
            found.push((place, id));
            if found.len() == self.first {
                break;
            }
        }
        Ok(found)
    }

    fn bounds(&self) -> Option<(Place, Place)> {
        let (mut low, mut high) = (Place::FIRST, Place::LAST);
        if let Some((min, max)) = self.heights {
            low.height = min;
            high.height = max.min(PENDING_HEIGHT - 1);
        }
        match self.after {
            Some(after) if self.ascending => low = low.max(after.after()?),
            Some(after) => high = high.min(after.before()?),
            None => {}
        }
        (low <= high).then_some((low, high))
    }

    fn fits(
        &self,
        index: &impl ReadableTable<(&'static Term, u64, u64), &'static [u8; 32]>,
        place: Place,
    ) -> Result<bool, GatewayError> {
        let has = |term: &Term| -> Result<bool, GatewayError> {
            Ok(index.get((term, place.height, place.sequence))?.is_some())
        };
        for group in &self.all {
            let mut fits = false;
            for term in group {
                fits = fits || has(term)?;
            }
            if !fits {
                return Ok(false);
            }
        }
        for term in &self.none {
            if has(term)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
