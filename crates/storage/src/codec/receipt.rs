//! All receipts of a block in one record: logs are scanned by block, and the bloom is derived.
//!
//! A receipt begins with a byte: the transaction's type, and in the two highest bits what the receipt tells of the
//! outcome (success, failure, or a state root, which follows; the two bits are never set both).

use super::{Malformed, Reader, Value, put_count, put_varint};
use alloy_consensus::{Eip658Value, TxType};
use alloy_primitives::{Bytes, Log, LogData};
use weft_primitives::Receipt;

const SUCCESS: u8 = 0x80;
/// Before Byzantium: 32 bytes of state root follow.
const ROOT: u8 = 0x40;
/// type and status, cumulative gas, number of logs: at least a byte each.
const RECEIPT_BYTES_MIN: usize = 3;
/// address, number of topics, length of data.
const LOG_BYTES_MIN: usize = 22;
const TOPICS_MAX: usize = 4;

impl Value for Vec<Receipt> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_count(out, self.len());
        for receipt in self {
            put_head(out, receipt);
            put_varint(out, receipt.cumulative_gas_used);
            put_count(out, receipt.logs.len());
            for log in &receipt.logs {
                out.extend_from_slice(log.address.as_slice());
                put_count(out, log.topics().len());
                for topic in log.topics() {
                    out.extend_from_slice(topic.as_slice());
                }
                put_count(out, log.data.data.len());
                out.extend_from_slice(&log.data.data);
            }
        }
    }

    fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        let count = reader.count(RECEIPT_BYTES_MIN)?;
        let mut receipts = Self::new();
        for _ in 0..count {
            let (tx_type, outcome) = take_head(&mut reader)?;
            let cumulative_gas_used = reader.varint()?;
            let logs = reader.count(LOG_BYTES_MIN)?;
            let logs = (0..logs).map(|_| take_log(&mut reader)).collect::<Result<_, _>>()?;
            receipts.push(Receipt { tx_type, outcome, cumulative_gas_used, logs });
        }
        reader.finish()?;
        Ok(receipts)
    }
}

fn put_head(out: &mut Vec<u8>, receipt: &Receipt) {
    let tx_type = u8::from(receipt.tx_type);
    match receipt.outcome {
        Eip658Value::Eip658(success) => out.push(tx_type | if success { SUCCESS } else { 0 }),
        Eip658Value::PostState(root) => {
            out.push(tx_type | ROOT);
            out.extend_from_slice(root.as_slice());
        }
    }
}

fn take_head(reader: &mut Reader<'_>) -> Result<(TxType, Eip658Value), Malformed> {
    let head = reader.u8()?;
    let tx_type =
        TxType::try_from(head & !(SUCCESS | ROOT)).map_err(|_| Malformed("unknown transaction type"))?;
    let outcome = match (head & SUCCESS != 0, head & ROOT != 0) {
        (success, false) => success.into(),
        (false, true) => reader.b256()?.into(),
        (true, true) => return Err(Malformed("a receipt with both status and state root")),
    };
    Ok((tx_type, outcome))
}

fn take_log(reader: &mut Reader<'_>) -> Result<Log, Malformed> {
    let address = reader.address()?;
    let topics = reader.count(32)?;
    if topics > TOPICS_MAX {
        return Err(Malformed("more than four topics"));
    }
    let topics = (0..topics).map(|_| reader.b256()).collect::<Result<_, _>>()?;
    let length = reader.count(1)?;
    let data = Bytes::copy_from_slice(reader.take(length)?);
    Ok(Log { address, data: LogData::new_unchecked(topics, data) })
}
