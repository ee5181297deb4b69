use proptest::prelude::*;

use super::*;
use crate::image::Family;
use crate::image::kind::Kind;
use crate::image::tuya::FlashMap;
use crate::units::Span;

fn files(list: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    list.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec())).collect()
}

fn read(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let found = FileSystem::read(bytes).expect("a file system");
    assert_eq!(found.faults, []);
    found.files.into_iter().map(|file| (file.path, file.content.expect("content"))).collect()
}

#[test]
fn what_is_written_is_read_back_folders_and_large_files_too() {
    let long: Vec<u8> = (0..30_000_u32).map(|number| (number % 251) as u8).collect();
    let list = files(&[
        ("autoexec.bat", b"startDriver TuyaMCU\n"),
        ("empty", b""),
        ("folder/inner/deep.txt", b"deep"),
        ("folder/zz", b"0123456789abcdef0"),
        ("long.bin", &long),
    ]);
    let bytes = image(0x2_0000, &list).expect("an image");
    assert_eq!(read(&bytes), list);
    assert_eq!(FileSystem::read(&bytes).unwrap().folders, ["folder", "folder/inner"]);
    assert_eq!(image(0x2_0000, &list).unwrap(), bytes, "the same files make the same bytes");
}

#[test]
fn many_files_go_into_several_pairs() {
    let names: Vec<String> = (0..100).map(|number| format!("a file with a rather long name {number:03}.txt")).collect();
    let list: Vec<(String, Vec<u8>)> =
        names.into_iter().map(|name| (name.clone(), name.into_bytes()[..9].to_vec())).collect();
    assert_eq!(read(&image(0x1_0000, &list).expect("an image")), list);
}

#[test]
fn added_files_leave_the_others_and_replace_their_own() {
    let old = image(0x8000, &files(&[("autoexec.bat", b"old"), ("keep.txt", b"kept")])).unwrap();
    let new = image_with(&old, 0x8000, &files(&[("/autoexec.bat", b"new")])).unwrap();
    assert_eq!(read(&new), files(&[("autoexec.bat", b"new"), ("keep.txt", b"kept")]));
    let first = image_with(&[0xFF; 0x8000], 0x8000, &files(&[("a", b"1")])).unwrap();
    assert_eq!(read(&first), files(&[("a", b"1")]));
}

#[test]
fn what_does_not_fit_or_has_no_usable_name_is_refused() {
    let error = |len: usize, list: &[(&str, &[u8])]| image(len, &files(list)).expect_err("refused");
    assert_eq!(error(0x8000, &[("a", &[0; 0x7000])]), WriteError::Full { needed: 9, blocks: 8 });
    assert!(matches!(error(0x8000, &[("a", b""), ("a/b", b"")]), WriteError::Twice { .. }));
    assert!(matches!(error(0x8000, &[("a", b""), ("a", b"")]), WriteError::Twice { .. }));
    for path in ["", "/", "a//b", "a/", "..", "a/../b", &"x".repeat(256)] {
        assert!(matches!(error(0x8000, &[(path, b"")]), WriteError::Path { .. }), "{path}");
    }
    for len in [0, 0x3000, 0x8001] {
        assert_eq!(error(len, &[]), WriteError::Size { len });
    }
}

#[test]
fn the_place_follows_from_the_end_and_the_configured_size() {
    assert_eq!(area_of(Family::Bk7231T, None), Some(Span::new(0x1A_B000, 0x8000)));
    assert_eq!(area_of(Family::Bk7231N, None), Some(Span::new(0x1C_8000, 0x8000)));
    assert_eq!(area_of(Family::Other, None), None);
    for (size, place) in [
        (0x1_0000, Span::new(0x1A_3000, 0x1_0000)),
        (0x1000, Span::new(0x1A_B000, 0x8000)),
        (u32::MAX, Span::new(0x1A_B000, 0x8000)),
    ] {
        let config = crate::image::openbeken::Config::with_littlefs_size(size);
        assert_eq!(area_of(Family::Bk7231T, Some(&config)), Some(place), "{size:#X}");
    }
}

#[test]
fn a_file_system_is_found_where_it_should_be_and_elsewhere() {
    let list = files(&[("autoexec.bat", b"backlog startDriver BL0937")]);
    let small = image(0x8000, &list).unwrap();
    for (at, expected) in [(0x1A_B000, true), (0x15_0000, false)] {
        let mut flash = vec![0xFF; 0x20_0000];
        flash[at..at + small.len()].copy_from_slice(&small);
        let map = FlashMap::new(flash.len(), Kind::Dump, None);
        let found = find(&flash, map, Some(Family::Bk7231T), None).expect("a file system");
        assert_eq!((found.offset, found.len, found.expected), (at, 0x8000, expected));
        assert_eq!(sectors(&flash, Family::Bk7231T), Some(Span::new(at as u32, 0x8000)));
    }
    assert_eq!(sectors(&vec![0xFF; 0x20_0000], Family::Bk7231N), None);
}

#[test]
fn half_a_commit_leaves_the_state_before_it() {
    let old = image(0x8000, &files(&[("a", b"one")])).unwrap();
    let mut torn = old.clone();
    // The newer block of the pair is damaged: the older one counts.
    torn[BLOCK + 40] ^= 0xFF;
    assert_eq!(read(&torn), files(&[("a", b"one")]));
    torn[40] ^= 0xFF;
    assert_eq!(FileSystem::read(&torn), None);
}

#[test]
fn pointers_that_go_round_in_circles_end() {
    let mut bytes = image(0x1_0000, &files(&[("d/e", b"x")])).unwrap();
    // The folder's pair holds a copy of the root, whose tail leads to itself.
    let root = bytes[..2 * BLOCK].to_vec();
    bytes[2 * BLOCK..4 * BLOCK].copy_from_slice(&root);
    let found = FileSystem::read(&bytes).expect("a file system");
    assert!(found.faults.iter().any(|fault| fault.what.contains("point back")), "{found:?}");
}

proptest! {
    #[test]
    fn damaged_bytes_neither_panic_nor_hang(damage in prop::collection::vec((0..0x8000_usize, any::<u8>()), 1..40)) {
        let mut bytes = image(0x8000, &files(&[("a", &[7; 5000]), ("b/c", b"x"), ("b/d", b"")])).unwrap();
        for (at, value) in damage {
            bytes[at] = value;
        }
        let _ = FileSystem::read(&bytes);
    }

    #[test]
    fn any_set_of_files_comes_back(list in prop::collection::btree_map("[a-z]{1,9}", prop::collection::vec(any::<u8>(), 0..9000), 0..8)) {
        let list: Vec<(String, Vec<u8>)> = list.into_iter().collect();
        prop_assert_eq!(read(&image(0x2_0000, &list).unwrap()), list);
    }
}
