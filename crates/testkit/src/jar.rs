//! JAR files: real zip archives with entries of checkable content, stored uncompressed.

use crc_fast::CrcAlgorithm::Crc32IsoHdlc;

/// Sizes in bytes of `count` archives, smallest first: the distribution of the JARs that
/// Spark 3.5 ships (252 of them: median 0.23 MiB, together 322 MiB).
pub fn sizes(count: u32) -> Vec<usize> {
    const MEDIAN: f64 = 0.23 * 1024.0 * 1024.0;
    const SPREAD: f64 = 0.96;
    (0..count)
        .map(|n| {
            let share = (f64::from(n) + 0.5) / f64::from(count);
            (MEDIAN * (share / (1.0 - share)).powf(SPREAD)) as usize
        })
        .collect()
}

/// An archive of about `size` bytes; the same name gives the same bytes.
pub fn archive(name: &str, size: usize) -> Vec<u8> {
    const ENTRY_MAX: usize = 48 * 1024;
    let mut zip = Vec::with_capacity(size + 4096);
    let mut directory = Vec::new();
    let mut entries = 0_u16;
    while zip.len() < size || entries == 0 {
        let length = (size - zip.len().min(size)).clamp(64, ENTRY_MAX);
        let entry = Entry::new(name, entries, length, zip.len());
        entry.append_local(&mut zip);
        entry.append_central(&mut directory);
        entries += 1;
    }
    let at = zip.len();
    zip.extend_from_slice(&directory);
    append_end(&mut zip, entries, directory.len(), at);
    zip
}

/// One stored file, after section 4.3 of PKWARE's APPNOTE.TXT.
struct Entry {
    name: String,
    content: Vec<u8>,
    crc: u32,
    offset: u32,
}

impl Entry {
    fn new(archive: &str, number: u16, length: usize, offset: usize) -> Self {
        let name = format!("org/example/Class{number}.class");
        let mut content = vec![0; length];
        lab::synthetic::fill(archive, u64::from(number), 0, &mut content);
        let crc = u32::try_from(crc_fast::checksum(Crc32IsoHdlc, &content)).unwrap();
        Self { name, content, crc, offset: u32::try_from(offset).unwrap() }
    }

    /// What local and central header have in common: version, flags, method, time, date,
    /// checksum, sizes and the length of the name.
    fn append_common(&self, out: &mut Vec<u8>) {
        const FIRST_OF_1980: u16 = 1 << 5 | 1;
        let length = u32::try_from(self.content.len()).unwrap();
        for field in [20_u16, 0, 0, 0, FIRST_OF_1980] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        for field in [self.crc, length, length] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&u16::try_from(self.name.len()).unwrap().to_le_bytes());
        out.extend_from_slice(&[0; 2]);
    }

    fn append_local(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"PK\x03\x04");
        self.append_common(out);
        out.extend_from_slice(self.name.as_bytes());
        out.extend_from_slice(&self.content);
    }

    fn append_central(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"PK\x01\x02\x14\x00");
        self.append_common(out);
        out.extend_from_slice(&[0; 10]);
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(self.name.as_bytes());
    }
}

fn append_end(out: &mut Vec<u8>, entries: u16, directory: usize, at: usize) {
    out.extend_from_slice(b"PK\x05\x06\x00\x00\x00\x00");
    out.extend_from_slice(&entries.to_le_bytes());
    out.extend_from_slice(&entries.to_le_bytes());
    for field in [directory, at] {
        out.extend_from_slice(&u32::try_from(field).unwrap().to_le_bytes());
    }
    out.extend_from_slice(&[0; 2]);
}

#[cfg(test)]
mod tests;
