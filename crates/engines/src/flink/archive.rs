//! A jar of our own making: a zip file whose entries are stored as they are, the same bytes for the same entries.

/// Signatures of a zip file's parts.
const ENTRY: u32 = 0x0403_4b50;
const LISTED: u32 = 0x0201_4b50;
const END: u32 = 0x0605_4b50;
/// Version 2.0 of the format, which every reader knows.
const VERSION: u16 = 20;
/// Names are UTF-8.
const UTF8: u16 = 1 << 11;
/// The first day that the format can say: a time of making would make each jar another one.
const DAY: u16 = (1 << 5) | 1;

/// The entries as a jar. The error says that they are more than the format can hold.
pub fn jar(entries: &[(String, Vec<u8>)]) -> Result<Vec<u8>, String> {
    let too_big = |_| "the program and its libraries are more than a jar can hold (4 GiB)".to_owned();
    let mut out = Vec::new();
    let mut list = Vec::new();
    for (name, bytes) in entries {
        let at = u32::try_from(out.len()).map_err(too_big)?;
        let size = u32::try_from(bytes.len()).map_err(too_big)?;
        let mut head = Vec::new();
        for word in [VERSION, UTF8, 0, 0, DAY] {
            head.extend(word.to_le_bytes());
        }
        for word in [checksum(bytes), size, size] {
            head.extend(word.to_le_bytes());
        }
        head.extend(u16::try_from(name.len()).map_err(too_big)?.to_le_bytes());
        head.extend(0_u16.to_le_bytes());
        out.extend(ENTRY.to_le_bytes());
        out.extend(&head);
        out.extend(name.as_bytes());
        out.extend(bytes);
        list.extend(LISTED.to_le_bytes());
        list.extend(VERSION.to_le_bytes());
        list.extend(&head);
        // No comment, the first disk, no attributes.
        list.extend([0; 10]);
        list.extend(at.to_le_bytes());
        list.extend(name.as_bytes());
    }
    let at = u32::try_from(out.len()).map_err(too_big)?;
    let size = u32::try_from(list.len()).map_err(too_big)?;
    let many = u16::try_from(entries.len()).map_err(too_big)?;
    out.extend(list);
    out.extend(END.to_le_bytes());
    out.extend([0; 4]);
    out.extend(many.to_le_bytes());
    out.extend(many.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend([0; 2]);
    Ok(out)
}

/// CRC-32 as zip files have it.
fn checksum(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|index| {
        let begin = u32::try_from(index).unwrap_or_default();
        (0..8).fold(begin, |word, _| if word & 1 == 1 { (word >> 1) ^ 0xedb8_8320 } else { word >> 1 })
    });
    let fold = |sum: u32, byte: &u8| (sum >> 8) ^ table[usize::from(sum.to_le_bytes()[0] ^ byte)];
    !bytes.iter().fold(!0, fold)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value is the one that every description of CRC-32 gives. That Java reads such a jar is seen on a real Flink
    /// (tests/contract/flink).
    #[test]
    fn the_same_bytes_for_the_same_entries() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
        let entries = [("a/b".to_owned(), b"x".to_vec()), ("c".to_owned(), Vec::new())];
        let jar = jar(&entries).expect("a jar");
        assert_eq!(jar, super::jar(&entries).expect("a jar"));
        assert!(jar.starts_with(b"PK\x03\x04"));
        assert_eq!(jar.len(), (30 + 46) * 2 + 4 * 2 + 1 + 22);
    }
}
