//! INSERT and LOAD DATA.

use super::{Files, Order, reader::Reader, table::form};
use crate::fault::Outcome;

/// After INSERT.
pub fn insert(reader: &mut Reader<'_>) -> Outcome<Order> {
    let overwrite = reader.take(&["OVERWRITE"]);
    if overwrite && (reader.at(&["DIRECTORY"]) || reader.at(&["LOCAL", "DIRECTORY"])) {
        reader.take(&["LOCAL"]);
        reader.take(&["DIRECTORY"]);
        let place = reader.place();
        let path = reader.string()?;
        let (format, text) = form(reader)?;
        let query = reader.query()?;
        return Ok(Order::InsertFolder { files: Files { path, place, format, text }, query });
    }
    if !overwrite {
        reader.need(&["INTO"])?;
    } else {
        reader.take(&["INTO"]);
    }
    reader.take(&["TABLE"]);
    let name = reader.name()?;
    let partition = if reader.take(&["PARTITION"]) { reader.partition()? } else { Vec::new() };
    if reader.at(&["IF"]) {
        return Err(reader.refused("INSERT OVERWRITE .. IF NOT EXISTS", "leave it out"));
    }
    // `(a, b) SELECT` names columns, `(SELECT ..)` is the query itself.
    let query_in_parentheses = reader.at_open() && reader.opens_query();
    let columns = if reader.at_open() && !query_in_parentheses { reader.idents()? } else { Vec::new() };
    reader.take(&["TABLE"]);
    let query = reader.query()?;
    Ok(Order::Insert { name, overwrite, partition, columns, query })
}

/// After LOAD DATA.
pub fn load(reader: &mut Reader<'_>) -> Outcome<Order> {
    let local = reader.take(&["LOCAL"]);
    reader.need(&["INPATH"])?;
    let place = reader.place();
    let path = reader.string()?;
    let overwrite = reader.take(&["OVERWRITE"]);
    reader.need(&["INTO", "TABLE"])?;
    let name = reader.name()?;
    let partition = if reader.take(&["PARTITION"]) { reader.partition()? } else { Vec::new() };
    Ok(Order::Load { path, place, local, overwrite, name, partition })
}
