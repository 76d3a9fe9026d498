use super::*;

fn address(n: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], n))
}

fn book(now: Instant, count: u16) -> Book {
    let mut book = Book::default();
    book.learn((0..count).map(address).collect(), now);
    book
}

#[tokio::test]
async fn all_addresses_are_used_in_turn() {
    let now = Instant::now();
    let mut book = book(now, 3);
    let used: Vec<_> = (0..6).filter_map(|_| book.next(now)).map(|a| a.port()).collect();
    assert_eq!(used, [0, 1, 2, 0, 1, 2]);
}

#[tokio::test]
async fn failed_addresses_are_passed_over_for_a_while() {
    let now = Instant::now();
    let mut book = book(now, 3);
    book.failed.insert(address(1), now);
    let used: Vec<_> = (0..4).filter_map(|_| book.next(now)).map(|a| a.port()).collect();
    assert_eq!(used, [0, 2, 0, 2]);
    let later = now + AVOIDED_FOR;
    let used: Vec<_> = (0..3).filter_map(|_| book.next(later)).map(|a| a.port()).collect();
    assert_eq!(used, [0, 1, 2]);
}

#[tokio::test]
async fn when_all_failed_they_are_tried_again() {
    let now = Instant::now();
    let mut book = book(now, 2);
    book.failed.extend([(address(0), now), (address(1), now)]);
    assert!(book.next(now).is_some());
}

#[tokio::test]
async fn old_look_ups_and_empty_ones_give_nothing() {
    let now = Instant::now();
    assert_eq!(book(now, 2).next(now + GOOD_FOR), None);
    assert_eq!(book(now, 0).next(now), None);
}

#[tokio::test]
async fn a_literal_address_needs_no_name_server() {
    let names = Names::new("::1", 9000);
    assert_eq!(names.next().await.unwrap(), "[::1]:9000".parse().unwrap());
    assert_eq!(names.count(), 1);
}
