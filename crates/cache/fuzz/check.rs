// What must hold for any bytes that are taken for a map: nothing panics, and what is understood
// says the same when it is written again. Shared by the fuzzer and the test that replays its
// corpus.

use cache::map::codec::{HEADER, Header, MARK, Mark, RECORD, Record};

pub(crate) fn check(bytes: &[u8]) {
    let Ok(header) = Header::decode(bytes) else { return };
    let again = header.encode().map(|bytes| Header::decode(&bytes));
    assert_eq!(again, Ok(Ok(header.clone())));
    let identity = header.identity;
    if let Some(Ok(mark)) = bytes.get(MARK).map(|bytes| Mark::decode(bytes, &identity)) {
        assert_eq!(Mark::decode(&mark.encode(&identity), &identity), Ok(mark));
    }
    let records = bytes.get(HEADER..).unwrap_or_default();
    for (record, number) in records.chunks(RECORD).zip(0..) {
        if let Record::Present(crc32c) = Record::decode(record, &identity, number) {
            let again = Record::encode(&identity, number, crc32c);
            assert_eq!(Record::decode(&again, &identity, number), Record::Present(crc32c));
        }
    }
}
