//! All receipts of a block in one record: logs are scanned by block, and the bloom is derived.

use super::{Malformed, Reader, Value, put_count, put_varint};
use alloy_consensus::TxType;
use alloy_primitives::{Bytes, Log, LogData};
use weft_primitives::Receipt;

const SUCCESS: u8 = 0x80;
/// type and status, cumulative gas, number of logs: at least a byte each.
const RECEIPT_BYTES_MIN: usize = 3;
/// address, number of topics, length of data.
const LOG_BYTES_MIN: usize = 22;
const TOPICS_MAX: usize = 4;

impl Value for Vec<Receipt> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_count(out, self.len());
        for receipt in self {
            out.push(u8::from(receipt.tx_type) | if receipt.success { SUCCESS } else { 0 });
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
            let head = reader.u8()?;
            let tx_type =
                TxType::try_from(head & !SUCCESS).map_err(|_| Malformed("unknown transaction type"))?;
            let cumulative_gas_used = reader.varint()?;
            let logs = reader.count(LOG_BYTES_MIN)?;
            let logs = (0..logs).map(|_| take_log(&mut reader)).collect::<Result<_, _>>()?;
            receipts.push(Receipt { tx_type, success: head & SUCCESS != 0, cumulative_gas_used, logs });
        }
        reader.finish()?;
        Ok(receipts)
    }
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
