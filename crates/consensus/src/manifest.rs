//! What a snapshot consists of: the state it stands at and its files with sizes and checksums.
//!
//! Made by the node that cut the snapshot, checked by the node that receives it, kept in the
//! install marker until the install is done. Layout: version u8, group u64, applied state
//! (length u32, bytes), file count u32, per file name (length u16, bytes), size u64 and CRC-32
//! u32; then CRC-32 of all of it; LE.

use bytes::{Buf, BufMut, Bytes};
use ringkv_topology::GroupId;

use crate::codec::{self, DecodeError};
use crate::machine::AppliedState;

const VERSION: u8 = 1;
/// More files than any machine cuts a group into; a larger count means damaged bytes.
const FILES_MAX: u32 = 4096;
const NAME_BYTES_MAX: u16 = 128;

/// The description of one snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The group the snapshot is of.
    pub group: GroupId,
    /// What a state machine stands at that has installed it.
    pub applied: AppliedState,
    /// In the order in which they are streamed; ascending and unique by name.
    pub files: Vec<ManifestFile>,
}

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestFile {
    /// A plain file name: letters, digits, `.`, `_` and `-`, not beginning with a dot.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// CRC-32 of its content.
    pub checksum: u32,
}

impl Manifest {
    /// The manifest as bytes.
    ///
    /// # Panics
    /// When the machine cut more than 4,096 files.
    pub fn encode(&self) -> Bytes {
        let mut out = vec![VERSION];
        out.put_u64_le(self.group.0);
        let applied = self.applied.encode();
        out.put_u32_le(u32::try_from(applied.len()).expect("members are few"));
        out.put_slice(&applied);
        let count = u32::try_from(self.files.len()).expect("a snapshot has few files");
        assert!(count <= FILES_MAX, "a snapshot has at most {FILES_MAX} files");
        out.put_u32_le(count);
        for file in &self.files {
            out.put_u16_le(u16::try_from(file.name.len()).expect("a file name is short"));
            out.put_slice(file.name.as_bytes());
            out.put_u64_le(file.bytes);
            out.put_u32_le(file.checksum);
        }
        let sum = crc32fast::hash(&out);
        out.put_u32_le(sum);
        out.into()
    }

    /// The reverse of [`Self::encode`]; file names are safe to join to a directory.
    ///
    /// # Errors
    /// `DecodeError` for damaged bytes, an unknown version, or a file name that is not plain.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = codec::checked(bytes)?;
        codec::take_version(&mut input, VERSION)?;
        let group = GroupId::from_wire(input.try_get_u64_le()?)
            .ok_or(DecodeError::Implausible("group id"))?;
        let applied_bytes = input.try_get_u32_le()? as usize;
        let (applied, mut input) =
            input.split_at_checked(applied_bytes).ok_or(DecodeError::EndedEarly)?;
        let applied = AppliedState::decode(applied)?;
        let count = input.try_get_u32_le()?;
        if count > FILES_MAX {
            return Err(DecodeError::Implausible("file count"));
        }
        let mut files: Vec<ManifestFile> = Vec::new();
        for _ in 0..count {
            let file = decode_file(&mut input)?;
            if files.last().is_some_and(|last| last.name >= file.name) {
                return Err(DecodeError::Implausible("order of file names"));
            }
            files.push(file);
        }
        if !input.is_empty() {
            return Err(DecodeError::TrailingBytes);
        }
        Ok(Self { group, applied, files })
    }

    /// The size of all files together, in bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).fold(0, u64::saturating_add)
    }
}

fn decode_file(input: &mut &[u8]) -> Result<ManifestFile, DecodeError> {
    let name_bytes = usize::from(input.try_get_u16_le()?);
    let (name, rest) = input.split_at_checked(name_bytes).ok_or(DecodeError::EndedEarly)?;
    *input = rest;
    let name = std::str::from_utf8(name)
        .ok()
        .filter(|name| is_plain(name))
        .ok_or(DecodeError::Implausible("file name"))?
        .to_owned();
    Ok(ManifestFile { name, bytes: input.try_get_u64_le()?, checksum: input.try_get_u32_le()? })
}

/// Whether a name from another node may be used as a file name here as it is.
pub fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= usize::from(NAME_BYTES_MAX)
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ringkv_topology::{NodeId, ReplicaId};

    use super::*;
    use crate::members::Members;
    use crate::position::LogPosition;

    fn manifest(names: &[&str]) -> Manifest {
        Manifest {
            group: GroupId(4),
            applied: AppliedState {
                position: LogPosition::new(3, 20),
                members: Members::of_voters([(ReplicaId(1), NodeId(1))]),
            },
            files: names
                .iter()
                .map(|name| ManifestFile { name: (*name).into(), bytes: 9, checksum: 7 })
                .collect(),
        }
    }

    #[test]
    fn a_manifest_comes_back_as_it_went_in() {
        for names in [&[][..], &["a.sst"], &["a.sst", "b.sst"]] {
            let manifest = manifest(names);
            assert_eq!(Manifest::decode(&manifest.encode()), Ok(manifest));
        }
    }

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        for name in ["", ".", "..", "../a", "a/b", "/a", ".hidden", "a\0b", "ä"] {
            let error = Manifest::decode(&manifest(&[name]).encode());
            assert_eq!(error, Err(DecodeError::Implausible("file name")), "{name:?}");
        }
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        Manifest::decode(&manifest(&["a", "a"]).encode()).expect_err("one would hide the other");
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let bytes = manifest(&["a.sst"]).encode();
        for at in 0..bytes.len() * 8 {
            let mut damaged = bytes.to_vec();
            damaged[at / 8] ^= 1 << (at % 8);
            Manifest::decode(&damaged).expect_err("damaged");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail_without_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut bytes = vec![VERSION];
            bytes.extend(body);
            let sum = crc32fast::hash(&bytes);
            bytes.put_u32_le(sum);
            let _ = Manifest::decode(&bytes);
        }
    }
}
