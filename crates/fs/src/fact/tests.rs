use proptest::prelude::*;

use super::*;

fn file(tag: Tag, size: u64, modified: u64, storage: StorageState) -> Arc<Fact> {
    Arc::new(Fact { name: "n".into(), size, modified, tag, storage, kind: Kind::File })
}

#[test]
fn a_usual_tag_takes_no_memory_of_its_own() {
    let plain = Tag::of(&ETag::new("0123456789abcdef0123456789abcdef"));
    let parts = Tag::of(&ETag::new("0123456789abcdef0123456789abcdef-12"));
    assert!(matches!(plain, Tag::Sum(_, 0)));
    assert!(matches!(parts, Tag::Sum(_, 12)));
    assert!(size_of::<Fact>() <= 64);
}

#[test]
fn a_listing_that_knows_less_does_not_take_knowledge_away() {
    let known = file(Tag::Text("t".into()), 5, 7, StorageState::Online);
    let listed = file(Tag::Unconfirmed, 5, 7, StorageState::Unknown);
    assert!(known.same_version(&listed));
    assert_eq!(known.updated(&listed), known);
    assert!(!known.same_version(&file(Tag::Unconfirmed, 5, 8, StorageState::Online)));
    assert!(!known.same_version(&Fact::directory("n")));
}

proptest! {
    #[test]
    fn every_tag_comes_back_as_the_store_wrote_it(
        text in prop_oneof!["[0-9a-f]{32}(-[0-9]{1,12})?", "[0-9A-Fa-f+-]{1,36}", "[!-~]{0,40}"],
    ) {
        let etag = ETag::new(&text);
        prop_assert_eq!(Tag::of(&etag).etag(), Some(etag));
    }
}
