//! `weft db stats`: what is stored, beside a running node too (the database is opened for reading only).

use eyre::Result;
use std::path::Path;
use weft_archive::BLOB_ARCHIVE;
use weft_storage::DatabaseRole;

/// Prints heights, stages and tables.
pub fn run(folder: &Path) -> Result<()> {
    let store = super::open_read_only(folder)?;
    let view = store.view();
    println!("folder       {}", folder.display());
    if view.is_empty()? {
        println!("head         none: not initialised");
        return Ok(());
    }
    let head = view.head()?;
    println!("head         {} {}", head.number, head.hash);
    if view.role()? == DatabaseRole::Da {
        println!("role         da: headers, and columns from block {} on", view.columns_first()?);
        println!("columns      {} bytes of cells", view.column_bytes()?);
    } else if let Some(base) = view.base()? {
        println!("restored at  {} {}: state and history begin there, bodies above", base.number, base.hash);
    }
    let marks = [
        ("safe", view.safe()?),
        ("finalized", view.finalized()?),
        (BLOB_ARCHIVE.0, view.stage_checkpoint(BLOB_ARCHIVE)?),
    ];
    for (name, block) in marks {
        match block {
            Some(block) => println!("{name:<12} {} {}", block.number, block.hash),
            None => println!("{name:<12} none"),
        }
    }
    println!(
        "\n{:<20} {:>13} {:>15} {:>15} {:>15}",
        "table", "keys, about", "table bytes", "value bytes", "dead bytes"
    );
    let (mut tables, mut values, mut dead) = (0, 0, 0);
    for stats in store.stats()? {
        let (table, blob, garbage) = (stats.sst_bytes, stats.blob_bytes, stats.blob_garbage_bytes);
        println!("{:<20} {:>13} {table:>15} {blob:>15} {garbage:>15}", stats.table.name(), stats.keys);
        (tables, values, dead) = (tables + table, values + blob, dead + garbage);
    }
    println!("{:<20} {:>13} {tables:>15} {values:>15} {dead:>15}", "sum", "");
    Ok(())
}
