//! A bundler with Turbo's API: takes signed items, and puts them into a bundle on Arweave later.
//!
//! Which lies are possible here: a receipt is a promise. Nothing is permanent until the item can be read back, verified, from
//! a bundle whose transaction is in a block.

use super::{Client, failover::Base};
use crate::{Address, DataItem, Error, FormatError, Id, Winston};
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// What a bundler says when it takes an item.
#[derive(Clone, Debug, PartialEq)]
pub struct ItemReceipt {
    /// The item.
    pub id: Id,
    /// What it cost, in winston of credit, if told.
    pub price: Option<Winston>,
    /// The height by which the item is promised to be in a block, if told.
    pub deadline_height: Option<u64>,
    /// The whole receipt, with the bundler's signature, to be kept.
    pub json: Value,
}

/// What became of a posted item. An [`Error`] instead leaves it open: post the same bytes again.
#[derive(Clone, Debug, PartialEq)]
pub enum ItemUpload {
    /// Taken.
    Accepted(Box<ItemReceipt>),
    /// Known already, from an earlier posting of the same bytes.
    AlreadyKnown,
    /// Refused for good; with status 402 because the account is empty.
    Rejected {
        /// The HTTP status.
        status: u16,
        /// Who refused, and why.
        reason: String,
    },
}

/// Where an item stands; the bundler's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemStatus {
    /// Not known.
    Unknown,
    /// Known; in this bundle, if there is one already.
    Accepted {
        /// The bundle's transaction.
        bundle: Option<Id>,
    },
    /// In a bundle in a block.
    Finalized {
        /// The bundle's transaction.
        bundle: Option<Id>,
    },
    /// Given up: to be posted again.
    Failed,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptJson {
    id: Id,
    #[serde(default)]
    winc: Option<Winston>,
    #[serde(default)]
    deadline_height: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusJson {
    status: String,
    #[serde(default)]
    info: Option<String>,
    #[serde(default)]
    bundle_id: Option<Id>,
}

#[derive(Deserialize)]
struct Credit {
    winc: Winston,
}

impl Client {
    /// Posts a signed item. Posting the same bytes again is harmless: the id is the signature's hash, and a bundler charges for an
    /// id once.
    pub async fn upload_item(&self, item: &DataItem) -> Result<ItemUpload, Error> {
        item.verify()?;
        let base = self.service(&self.config.bundler, "bundler")?;
        let (id, bytes) = (item.id(), item.bytes());
        let upload = self.ask(&base, bytes.len() as u64, |base| {
            let request = self.http.post(base.at("v1/tx")).header("content-type", "application/octet-stream");
            let request = request.body(bytes.clone());
            async move {
                let answer = self.http.send(request, ANSWER_BYTES_MAX).await?;
                match answer.status {
                    200 | 201 => {}
                    202 | 208 => return Ok(ItemUpload::AlreadyKnown),
                    _ => return Err(answer.refusal()),
                }
                let json: Value = answer.json()?;
                let receipt: ReceiptJson = answer.json()?;
                if receipt.id != id {
                    return Err(answer.wrong(FormatError::WrongId { expected: id, found: receipt.id }));
                }
                let ReceiptJson { winc, deadline_height, .. } = receipt;
                let receipt = ItemReceipt { id, price: winc, deadline_height, json };
                Ok(ItemUpload::Accepted(Box::new(receipt)))
            }
        });
        match upload.await {
            Err(Error::Rejected { status, reason }) => Ok(ItemUpload::Rejected { status, reason }),
            upload => Ok(upload?.1),
        }
    }

    /// Where an item stands.
    pub async fn item_status(&self, id: Id) -> Result<ItemStatus, Error> {
        let base = self.service(&self.config.bundler, "bundler")?;
        let path = format!("v1/tx/{id}/status");
        match self.get_service::<StatusJson>(&base, &path, &[]).await {
            Err(Error::NotFound(_)) => Ok(ItemStatus::Unknown),
            Err(error) => Err(error),
            Ok(StatusJson { status, info, bundle_id: bundle }) => match status.as_str() {
                "FAILED" => Ok(ItemStatus::Failed),
                _ if info.as_deref() == Some("failed") => Ok(ItemStatus::Failed),
                "FINALIZED" => Ok(ItemStatus::Finalized { bundle }),
                _ => Ok(ItemStatus::Accepted { bundle }),
            },
        }
    }

    /// What an item of `bytes` costs at the bundler, in winston of credit.
    pub async fn bundler_price(&self, bytes: u64) -> Result<Winston, Error> {
        let base = self.service(&self.config.payment, "payment service")?;
        let credit: Credit = self.get_service(&base, &format!("v1/price/bytes/{bytes}"), &[]).await?;
        Ok(credit.winc)
    }

    /// What an Arweave address has at the bundler, in winston of credit; nothing for one that it does not know.
    pub async fn bundler_balance(&self, address: Address) -> Result<Winston, Error> {
        let base = self.service(&self.config.payment, "payment service")?;
        let query = [("address", address.to_string())];
        match self.get_service::<Credit>(&base, "v1/account/balance/arweave", &query).await {
            Err(Error::NotFound(_)) => Ok(Winston(0)),
            credit => Ok(credit?.winc),
        }
    }

    fn service(&self, url: &Option<Url>, what: &str) -> Result<[Base; 1], Error> {
        let url = url.as_ref().ok_or_else(|| Error::Config(format!("no {what} is configured")))?;
        Ok([url.into()])
    }

    async fn get_service<T: serde::de::DeserializeOwned>(
        &self,
        base: &[Base],
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, Error> {
        let (_, answer) = self
            .ask(base, 0, |base| {
                let mut url = base.at(path);
                if !query.is_empty() {
                    url.query_pairs_mut().extend_pairs(query);
                }
                let request = self.http.get(url);
                async move {
                    let answer = self.http.send(request, ANSWER_BYTES_MAX).await?;
                    answer.success(|| path.to_owned())?.json()
                }
            })
            .await?;
        Ok(answer)
    }
}
