//! The directories of a TIFF file, classic and BigTIFF: one a page, each a list of tagged values.

use std::collections::HashSet;

/// Where the numbers of a file are.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a> {
    pub all: &'a [u8],
    little: bool,
    /// BigTIFF: eight bytes for a count or an offset.
    big: bool,
}

const FIRST_PRIVATE_TAG: u16 = 32768;

/// One page's tags.
pub(super) struct Directory<'a> {
    bytes: Bytes<'a>,
    entries: Vec<Entry>,
    next: u64,
}

struct Entry {
    tag: u16,
    kind: u16,
    count: u64,
    /// Where its values begin.
    at: u64,
}

/// Why a directory cannot be had.
#[derive(Debug)]
pub(super) enum Fault {
    /// It, or what it tells of, lies behind the end of the file.
    Missing,
    /// The pages follow one another in a circle.
    Circle,
}

impl<'a> Bytes<'a> {
    /// `None` where the file ends inside its header.
    pub fn of(all: &'a [u8]) -> Option<(Bytes<'a>, u64)> {
        let mut bytes = Bytes { all, little: all.starts_with(b"I"), big: false };
        bytes.big = bytes.u16(2)? == 43;
        Some((bytes, if bytes.big { bytes.u64(8)? } else { bytes.u32(4)?.into() }))
    }

    fn at<const N: usize>(self, at: u64) -> Option<[u8; N]> {
        let mut number = *self.all.get(usize::try_from(at).ok()?..)?.first_chunk()?;
        if !self.little {
            number.reverse();
        }
        Some(number)
    }

    fn u16(self, at: u64) -> Option<u16> {
        self.at(at).map(u16::from_le_bytes)
    }

    fn u32(self, at: u64) -> Option<u32> {
        self.at(at).map(u32::from_le_bytes)
    }

    fn u64(self, at: u64) -> Option<u64> {
        self.at(at).map(u64::from_le_bytes)
    }

    /// A number as wide as this file's counts and offsets.
    fn wide(self, at: u64) -> Option<u64> {
        if self.big { self.u64(at) } else { self.u32(at).map(u64::from) }
    }

    /// A short as this file has it.
    pub fn spelled(self, number: u16) -> [u8; 2] {
        if self.little { number.to_le_bytes() } else { number.to_be_bytes() }
    }

    /// All pages.
    pub fn pages(self, first: u64) -> Result<Vec<Directory<'a>>, Fault> {
        let mut pages = Vec::new();
        let mut seen = HashSet::new();
        let mut at = first;
        while at != 0 {
            if !seen.insert(at) {
                return Err(Fault::Circle);
            }
            let page = Directory::at(self, at).ok_or(Fault::Missing)?;
            at = page.next;
            pages.push(page);
            // Directories that overlap could be as many as there are bytes.
            if pages.len() > self.all.len() / 64 + 1 {
                return Err(Fault::Circle);
            }
        }
        Ok(pages)
    }
}

impl<'a> Directory<'a> {
    fn at(bytes: Bytes<'a>, at: u64) -> Option<Directory<'a>> {
        let (head, value) = if bytes.big { (8, 8) } else { (2, 4) };
        let count = if bytes.big { bytes.u64(at)? } else { bytes.u16(at)?.into() };
        let size = 4 + 2 * value;
        let start = at.checked_add(head)?;
        let end = start.checked_add(count.checked_mul(size)?)?;
        let next = bytes.wide(end)?;
        let entries = (0..count).map(|i| {
            let at = start + i * size;
            let mut entry =
                Entry { tag: bytes.u16(at)?, kind: bytes.u16(at + 2)?, count: bytes.wide(at + 4)?, at: at + 4 + value };
            // What does not fit in stands elsewhere.
            if entry.count.saturating_mul(width(entry.kind)) > value {
                entry.at = bytes.wide(entry.at)?;
            }
            // A wrong private tag is no concern of ours.
            let end = entry.at.checked_add(entry.count.checked_mul(width(entry.kind))?)?;
            if entry.tag < FIRST_PRIVATE_TAG && end > bytes.all.len() as u64 {
                return None;
            }
            Some(entry)
        });
        Some(Directory { bytes, entries: entries.collect::<Option<_>>()?, next })
    }

    fn entry(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    pub fn has(&self, tag: u16) -> bool {
        self.entry(tag).is_some()
    }

    /// How many values a tag has.
    pub fn count(&self, tag: u16) -> u64 {
        self.entry(tag).map_or(0, |entry| entry.count)
    }

    /// The numbers of a tag; none where it is not there.
    pub fn numbers(&self, tag: u16) -> impl Iterator<Item = u64> + '_ {
        let found = self.entry(tag).into_iter();
        found.flat_map(|entry| {
            (0..entry.count).map_while(|i| {
                let at = entry.at.checked_add(i.checked_mul(width(entry.kind))?)?;
                match width(entry.kind) {
                    1 => self.bytes.at::<1>(at).map(|[byte]| byte.into()),
                    2 => self.bytes.u16(at).map(u64::from),
                    4 => self.bytes.u32(at).map(u64::from),
                    _ => self.bytes.u64(at),
                }
            })
        })
    }

    /// The first number of a tag.
    pub fn number(&self, tag: u16) -> Option<u64> {
        self.numbers(tag).next()
    }

    /// The bytes of a tag.
    pub fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        let entry = self.entry(tag)?;
        let start = usize::try_from(entry.at).ok()?;
        self.bytes.all.get(start..start.checked_add(usize::try_from(entry.count).ok()?)?)
    }

    /// Where a tag's short stands, if that is what it has.
    pub fn place_of_short(&self, tag: u16) -> Option<u64> {
        self.entry(tag).filter(|entry| entry.kind == 3 && entry.count == 1).map(|entry| entry.at)
    }
}

/// Bytes of a value of this kind.
fn width(kind: u16) -> u64 {
    match kind {
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16..=18 => 8,
        _ => 1,
    }
}
