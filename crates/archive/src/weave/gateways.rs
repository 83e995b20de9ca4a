//! Arweave through one or several gateways.
//!
//! The client asks the gateways in turn and believes none. What is added here: questions that have to be answered by all of
//! them, reading back from another gateway than the first, and reads that are spread over all.

use super::{Answer, FetchedItem, Hit, ItemQuery, Presence, ReadBack, Weave};
use alloy_primitives::{B256, Bytes};
use futures::{FutureExt, future::join_all};
use std::{
    fmt,
    sync::atomic::{AtomicUsize, Ordering},
};
use weft_arweave::{
    Address, Anchor, Client, ClientConfig, DataItem, Error, FormatError, Id, Transaction, Winston, bundle,
    client::{Found, ItemStatus, ItemUpload, Posted, Query, TransactionStatus, UploadData},
};

/// Chunks that are proven under the block's root besides the first and the last.
const SAMPLES: usize = 2;

/// A client over all gateways, and one over each.
pub struct Gateways {
    all: Client,
    each: Vec<(String, Client)>,
    /// Where the next read begins, so that parallel reads use all gateways.
    next: AtomicUsize,
}

impl fmt::Debug for Gateways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.each.iter().map(|(name, _)| name)).finish()
    }
}

impl Gateways {
    /// Over the gateways, and the bundler if there is one, of `config`.
    /// [`install_tls_provider`](weft_arweave::install_tls_provider) comes first.
    pub fn new(config: ClientConfig) -> Result<Self, Error> {
        let one = |gateway: &_| {
            let config = ClientConfig { gateways: vec![Clone::clone(gateway)], ..config.clone() };
            Ok::<_, Error>((ToString::to_string(gateway), Client::new(config)?))
        };
        let each = config.gateways.iter().map(one).collect::<Result<_, _>>()?;
        Ok(Self { all: Client::new(config)?, each, next: AtomicUsize::new(0) })
    }

    /// Every gateway once, beginning with the one after the last that a read began with.
    fn in_turn(&self) -> impl Iterator<Item = &(String, Client)> {
        let start = self.next.fetch_add(1, Ordering::Relaxed) % self.each.len().max(1);
        self.each[start..].iter().chain(&self.each[..start])
    }

    /// Every gateway once, the first of the configuration last: that is the one that was posted to, unless it failed.
    fn others_first(&self) -> impl Iterator<Item = &(String, Client)> {
        self.each.iter().skip(1).chain(self.each.first())
    }

    async fn heights(&self) -> Vec<Result<u64, Error>> {
        let infos = self.each.iter().map(|(_, client)| client.network_info());
        join_all(infos).await.into_iter().map(|info| info.map(|info| info.height)).collect()
    }

    /// Follows bundles in bundles up to the transaction.
    async fn transaction_of(&self, item: Id) -> Result<Option<Id>, Error> {
        let mut inner = item;
        for depth in 0..=bundle::DEPTH_MAX {
            let query = Query { ids: vec![inner], ..Query::default() };
            let found = self.all.untrusted_find(&query, 1).await?.into_iter().find(|found| found.id == inner);
            match found {
                None if depth == 0 => return Ok(None),
                // The index knows no such item, so it is what holds them.
                None | Some(Found { bundled_in: None, .. }) => return Ok((depth > 0).then_some(inner)),
                Some(Found { bundled_in: Some(outer), .. }) => inner = outer,
            }
        }
        Ok(None)
    }
}

/// The first of the gateways' answers that is one; the next is asked only when the one before has failed.
async fn first<T>(
    asks: impl Iterator<Item = impl Future<Output = Result<T, Error>>>,
    what: Id,
) -> Result<T, Error> {
    let mut errors = Vec::new();
    for ask in asks {
        match ask.await {
            Ok(answer) => return Ok(answer),
            Err(error) => errors.push(error),
        }
    }
    Err(worst(errors, what))
}

/// The best of the failures: what may pass rather than what is absent.
fn worst(errors: Vec<Error>, what: impl fmt::Display) -> Error {
    let is_absence = |error: &Error| matches!(error, Error::NotFound(_) | Error::Pending(_));
    let mut errors = errors;
    let at = errors.iter().position(|error| !is_absence(error)).unwrap_or(0);
    if errors.is_empty() { Error::NotFound(what.to_string()) } else { errors.swap_remove(at) }
}

impl Weave for Gateways {
    fn height(&self) -> Answer<'_, u64> {
        async {
            let (mut highest, mut errors) = (None, Vec::new());
            for height in self.heights().await {
                match height {
                    Ok(height) => highest = highest.max(Some(height)),
                    Err(error) => errors.push(error),
                }
            }
            highest.ok_or_else(|| worst(errors, "the newest block"))
        }
        .boxed()
    }

    fn anchor(&self) -> Answer<'_, Anchor> {
        self.all.tx_anchor().boxed()
    }

    fn price(&self, bytes: u64) -> Answer<'_, Winston> {
        self.all.price(bytes, None).boxed()
    }

    fn balance(&self, address: Address) -> Answer<'_, Winston> {
        self.all.balance(address).boxed()
    }

    fn post<'a>(&'a self, transaction: &'a Transaction, data: Bytes) -> Answer<'a, ()> {
        async move {
            let data = UploadData::Bytes(data.0);
            let (tree, data) = tokio::task::spawn_blocking(move || data.tree().map(|tree| (tree, data)))
                .await
                .map_err(|_| Error::Config("the runtime is shutting down".to_owned()))??;
            if let Posted::Rejected { status, reason } = self.all.post(transaction).await? {
                return Err(Error::Rejected { status, reason });
            }
            self.all.upload_chunks(transaction, &tree, &data, 0..tree.chunks().len(), |_| ()).await
        }
        .boxed()
    }

    fn presence(&self, id: Id) -> Answer<'_, Presence> {
        async move {
            // Taken before the question: a block that comes in between makes it too low, which is the safe side.
            let heights = self.heights().await;
            match self.all.transaction_status(id).await? {
                TransactionStatus::Confirmed { height, confirmations, .. } => {
                    Ok(Presence::Mined { height, confirmations })
                }
                TransactionStatus::Pending => Ok(Presence::Pending),
                TransactionStatus::Unknown => {
                    let heights = heights.into_iter().collect::<Result<Vec<_>, _>>()?;
                    Ok(Presence::Unknown { height: heights.into_iter().min().unwrap_or(0) })
                }
            }
        }
        .boxed()
    }

    fn read_back<'a>(&'a self, transaction: &'a Transaction) -> Answer<'a, ReadBack> {
        let asks = self.others_first().map(move |(name, client)| async move {
            client.prove_inclusion(transaction, SAMPLES).await?;
            let (_, data) = client.transaction_with_data(transaction.id, transaction.data_size).await?;
            Ok(ReadBack { data: Bytes(data), gateway: name.clone() })
        });
        first(asks, transaction.id).boxed()
    }

    fn price_of_item(&self, bytes: u64) -> Answer<'_, Winston> {
        match self.all.config().payment {
            Some(_) => self.all.bundler_price(bytes).boxed(),
            // Without its price list: what the network itself would ask for.
            None => self.all.price(bytes, None).boxed(),
        }
    }

    fn post_item<'a>(&'a self, item: &'a DataItem) -> Answer<'a, ()> {
        async move {
            match self.all.upload_item(item).await? {
                ItemUpload::Accepted(_) | ItemUpload::AlreadyKnown => Ok(()),
                ItemUpload::Rejected { status, reason } => Err(Error::Rejected { status, reason }),
            }
        }
        .boxed()
    }

    fn carrier(&self, item: Id) -> Answer<'_, Option<Id>> {
        async move {
            let told = match self.all.config().bundler {
                Some(_) => self.all.item_status(item).await,
                None => Ok(ItemStatus::Unknown),
            };
            match told {
                Ok(ItemStatus::Finalized { bundle: Some(bundle) }) => {
                    // A bundler may say the bundle of a bundle.
                    Ok(self.transaction_of(bundle).await?.or(Some(bundle)))
                }
                _ => self.transaction_of(item).await,
            }
        }
        .boxed()
    }

    fn content(&self, id: Id, sha256: B256, bytes_max: u64) -> Answer<'_, Bytes> {
        let asks = self.in_turn().map(move |(name, client)| async move {
            let data = client.untrusted_data(id, bytes_max).await?;
            if weft_erasure::sha256(&data) != sha256 {
                let source = FormatError::WrongData("another hash");
                return Err(Error::WrongAnswer { url: name.clone(), source });
            }
            Ok(Bytes(data))
        });
        first(asks, id).boxed()
    }

    fn item(&self, id: Id, bytes_max: u64) -> Answer<'_, FetchedItem> {
        let asks = self.in_turn().map(move |(name, client)| async move {
            let item = client.item(id, bytes_max).await?;
            Ok(FetchedItem { item, gateway: name.clone() })
        });
        first(asks, id).boxed()
    }

    fn find<'a>(&'a self, query: &'a ItemQuery, limit: usize) -> Answer<'a, Vec<Hit>> {
        async move {
            let query = Query {
                ids: query.ids.clone(),
                owners: query.owner.into_iter().collect(),
                tags: query.tags.iter().map(|(name, value)| (name.clone(), vec![value.clone()])).collect(),
                ..Query::default()
            };
            let found = self.all.untrusted_find(&query, limit).await?;
            Ok(found.into_iter().map(hit).collect())
        }
        .boxed()
    }
}

fn hit(found: Found) -> Hit {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Hit {
        id: found.id,
        tags: found.tags.iter().map(|tag| (text(&tag.name), text(&tag.value))).collect(),
        bytes: found.data_size,
        bundled_in: found.bundled_in,
        height: found.block.map(|block| block.height),
    }
}
