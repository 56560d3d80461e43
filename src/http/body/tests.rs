//! Where bodies end, and what is refused because another server could see the end elsewhere.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const BODY_BYTES_MAX: usize = 100;

/// The framing of a request with these values, or the status with which it is refused.
fn framing(minor_version: u8, lengths: &[&str], codings: &[&str]) -> Result<Framing, u16> {
    let values = |values: &[&str]| values.iter().map(|value| value.as_bytes().to_vec()).collect::<Vec<_>>();
    let (lengths, codings) = (values(lengths), values(codings));
    Framing::of(minor_version, lengths.iter().map(|value| &value[..]), codings.iter().map(|value| &value[..]))
        .map_err(|refusal| refusal.status)
}

/// What is in a body that comes in pieces of these lengths in turn, and how much of the input is left; or the status.
fn decode(framing: Framing, input: &[u8], pieces: &[usize]) -> Result<Option<(Vec<u8>, usize)>, u16> {
    let mut decoder = BodyDecoder::new(framing, BODY_BYTES_MAX).map_err(|refusal| refusal.status)?;
    let (mut body, mut at) = (Vec::new(), 0);
    for piece in pieces.iter().cycle() {
        let came = &input[at..(at + piece).min(input.len())];
        let taken = decoder.decode(came, &mut body).map_err(|refusal| refusal.status)?;
        at += taken;
        assert!(taken == came.len() || decoder.is_complete(), "what is not taken is not the body's");
        if decoder.is_complete() {
            assert_eq!(decoder.readable_bytes(), 0);
            return Ok(Some((body, input.len() - at)));
        }
        if at == input.len() {
            return Ok(None);
        }
    }
    unreachable!("pieces have no end")
}

/// The same of chunks that come at once.
fn chunks(input: &[u8]) -> Result<Option<(Vec<u8>, usize)>, u16> {
    decode(Framing::Chunked, input, &[usize::MAX / 2])
}

#[test]
fn a_request_says_at_most_once_where_its_body_ends() {
    assert_eq!(framing(1, &[], &[]), Ok(Framing::None));
    assert_eq!(framing(1, &["0"], &[]), Ok(Framing::Length(0)));
    assert_eq!(framing(0, &["12"], &[]), Ok(Framing::Length(12)));
    assert_eq!(framing(1, &["0012"], &[]), Ok(Framing::Length(12)));
    assert_eq!(framing(1, &["18446744073709551615"], &[]), Ok(Framing::Length(u64::MAX)));
    assert_eq!(framing(1, &["18446744073709551616"], &[]), Ok(Framing::Length(u64::MAX)), "larger than any, as it is");
    assert_eq!(framing(1, &["99999999999999999999999999"], &[]), Ok(Framing::Length(u64::MAX)));
    assert_eq!(framing(1, &[], &["chunked"]), Ok(Framing::Chunked));
    assert_eq!(framing(1, &[], &["Chunked"]), Ok(Framing::Chunked));
}

#[test]
fn what_another_server_could_see_end_elsewhere_is_refused() {
    for lengths in [
        &["1", "1"][..],
        &["1", "2"],
        &["1, 1"],
        &["1,"],
        &[""],
        &["+1"],
        &["-1"],
        &["1 "],
        &["1 2"],
        &["0x1"],
        &["1e1"],
        &["1_0"],
        &["1.0"],
        &["１"],
    ] {
        assert_eq!(framing(1, lengths, &[]), Err(400), "{lengths:?}");
        assert_eq!(framing(0, lengths, &[]), Err(400), "{lengths:?}");
    }
    for codings in [
        &["chunked", "chunked"][..],
        &["chunked", "identity"],
        &["chunked, chunked"],
        &["chunked,"],
        &[",chunked"],
        &["gzip, chunked"],
        &["chunked, gzip"],
        &["gzip"],
        &["identity"],
        &[""],
        &["\"chunked\""],
        &["chunked;a=b"],
        &["chunked\u{b}"],
        &["\u{c}chunked"],
        &["xchunked"],
        &["chunkeD\u{a0}"],
        &["chun\u{212a}ed"],
    ] {
        assert_eq!(framing(1, &[], codings), Err(400), "{codings:?}");
    }
    assert_eq!(framing(0, &[], &["chunked"]), Err(400), "HTTP/1.0 has no codings");
    assert_eq!(framing(1, &["5"], &["chunked"]), Err(400));
    assert_eq!(framing(1, &["0"], &["identity"]), Err(400));
    assert_eq!(framing(1, &["5", "5"], &["chunked"]), Err(400));
}

#[test]
fn a_body_ends_behind_its_length_and_what_follows_is_left() {
    assert_eq!(decode(Framing::None, b"GET", &[1]), Ok(Some((vec![], 3))));
    assert_eq!(decode(Framing::Length(0), b"GET", &[1]), Ok(Some((vec![], 3))));
    assert_eq!(decode(Framing::Length(5), b"helloGET", &[8]), Ok(Some((b"hello".to_vec(), 3))));
    assert_eq!(decode(Framing::Length(5), b"hell", &[4]), Ok(None));
}

#[test]
fn chunks_are_put_together_and_what_follows_is_left() {
    for (input, body, left) in [
        (&b"0\r\n\r\n"[..], &b""[..], 0),
        (b"000\r\n\r\nGET", b"", 3),
        (b"5\r\nhello\r\n0\r\n\r\n\r\n", b"hello", 2),
        (b"1\r\nh\r\n004\r\nello\r\n0\r\n\r\n0\r\n\r\n", b"hello", 5),
        (b"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n", b"01234567890123456789", 0),
        (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n", 0),
        (b"0000000000000001\r\nx\r\n0\r\n\r\n", b"x", 0),
        (b"1;a\r\nx\r\n0;b=c;d=\"e \\\"\t\\\\;f\xe9\"\r\n\r\n", b"x", 0),
        (b"1;\r\nx\r\n0\r\n\r\n", b"x", 0),
        (b"0\r\nContent-Length: 5\r\nA:\r\nB:\t \xe9 b\r\n\r\n", b"", 0),
    ] {
        assert_eq!(chunks(input), Ok(Some((body.to_vec(), left))), "{}", input.escape_ascii());
    }
}

#[test]
fn chunks_with_anything_else_are_refused() {
    for input in [
        // Sizes.
        &b"\r\n"[..],
        b"g\r\n",
        b"0x5\r\nhello\r\n",
        b"+5\r\nhello\r\n",
        b"-5\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n",
        b"\t5\r\nhello\r\n",
        b"5\t\r\nhello\r\n",
        b"5_0\r\n",
        b"5,5\r\n",
        b"5.0\r\n",
        b"\xef\xbc\x95\r\n",
        b"5h\r\nhello\r\n",
        b"5\0\r\nhello\r\n",
        b"00000000000000005\r\nhello\r\n",
        b"10000000000000005\r\nhello\r\n",
        b"fffffffffffffffff\r\n",
        // Ends of lines.
        b"5\nhello\r\n0\r\n\r\n",
        b"5\rhello\r\n0\r\n\r\n",
        b"5\r\rhello\r\n",
        b"5\n\rhello\r\n",
        b"0\n\n",
        b"0\r\n\n",
        b"0\r\n\r\r\n",
        b"0\r\r",
        // What comes behind data.
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"5\r\nhello\r0\r\n\r\n",
        b"5\r\nhello\rX0\r\n\r\n",
        b"5\r\nhello\r\r\n0\r\n\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"5\r\nhello\r\n\r\n",
        b"5\r\nhello\r\n 0\r\n\r\n",
        b"5\r\nhello\r\n;a\r\n",
        // Extensions.
        b";a\r\n",
        b"5 ;a\r\nhello\r\n",
        b"5; a\r\nhello\r\n",
        b"5;a\nhello\r\n",
        b"5;a\rb\r\nhello\r\n",
        b"5;a\0\r\nhello\r\n",
        b"5;a=\"\r\nhello\r\n",
        b"5;a=\"\\\r\nhello\r\n",
        b"5;a=\"b\nc\"\r\nhello\r\n",
        b"5;a=\xe9\r\nhello\r\n",
        // Trailers.
        b"0\r\nA\r\n\r\n",
        b"0\r\n: b\r\n\r\n",
        b"0\r\nA : b\r\n\r\n",
        b"0\r\nA: b\n\r\n",
        b"0\r\nA: b\rc\r\n\r\n",
        b"0\r\nA: b\r\n c\r\n\r\n",
        b"0\r\nA: b\0\r\n\r\n",
        b"0\r\n A: b\r\n\r\n",
        b"0\r\nGET / HTTP/1.1\r\n\r\n",
    ] {
        assert_eq!(chunks(input), Err(400), "{}", input.escape_ascii());
    }
}

#[test]
fn a_body_that_is_too_large_is_refused_as_soon_as_that_is_known() {
    assert_eq!(decode(Framing::Length(100), &[b'x'; 100], &[7]), Ok(Some((vec![b'x'; 100], 0))));
    assert_eq!(decode(Framing::Length(101), b"", &[1]), Err(413));
    assert_eq!(decode(Framing::Length(u64::MAX), b"", &[1]), Err(413));
    let just_fits = [&b"32\r\n"[..], &[b'x'; 50], b"\r\n32\r\n", &[b'y'; 50], b"\r\n0\r\n\r\n"].concat();
    assert_eq!(chunks(&just_fits), Ok(Some(([[b'x'; 50], [b'y'; 50]].concat(), 0))));
    assert_eq!(chunks(b"65\r\n"), Err(413));
    assert_eq!(chunks(b"ffffffffffffffff\r\n"), Err(413));
    assert_eq!(chunks(&[&b"32\r\n"[..], &[b'x'; 50], b"\r\n33\r\n"].concat()), Err(413));
}

#[test]
fn what_comes_beside_the_data_is_bounded_over_all_chunks() {
    // The semicolon counts.
    let extension = [vec![b';'], vec![b'a'; BODY_EXTRA_BYTES_MAX - 1]].concat();
    let with_extension = |more: &[u8]| [b"0", &extension[..], more, b"\r\n\r\n"].concat();
    assert_eq!(chunks(&with_extension(b"")), Ok(Some((vec![], 0))));
    assert_eq!(chunks(&with_extension(b"a")), Err(400));
    let lines: Vec<u8> = b"1;a=b\r\nx\r\n".repeat(BODY_BYTES_MAX);
    let left = vec![b'a'; BODY_EXTRA_BYTES_MAX - 4 * BODY_BYTES_MAX - 1];
    let with_trailer = |more: &[u8]| [&lines[..], b"0\r\n", &left[..], more, b":\r\n\r\n"].concat();
    assert_eq!(chunks(&with_trailer(b"")), Ok(Some((vec![b'x'; BODY_BYTES_MAX], 0))));
    assert_eq!(chunks(&with_trailer(b"a")), Err(400));
}

#[test]
fn next_to_nothing_behind_a_body_may_be_read_with_it() {
    let after = |framing, input: &[u8]| {
        let mut decoder = BodyDecoder::new(framing, BODY_BYTES_MAX).unwrap();
        decoder.decode(input, &mut Vec::new()).unwrap();
        decoder.readable_bytes()
    };
    assert_eq!(after(Framing::Length(70), b"hello"), 65);
    assert_eq!(after(Framing::Chunked, b""), PIECE_BYTES);
    assert_eq!(after(Framing::Chunked, b"40\r\nhello"), 59 + PIECE_BYTES);
    assert_eq!(after(Framing::Chunked, b"0\r\n"), PIECE_BYTES);
}

/// A body in chunks as somebody may send it, now and then with a byte that is wrong.
fn sent() -> impl Strategy<Value = Vec<u8>> {
    let chunk = (vec(any::<u8>(), 1..20), "(;[a-z]{0,5}(=(x|\"y z\"))?)?").prop_map(|(data, extension)| {
        [format!("{:x}{extension}\r\n", data.len()).into_bytes(), data, b"\r\n".to_vec()].concat()
    });
    let body = (vec(chunk, 0..8), "([A-Z]{1,4}: ?[a-z]{0,4}\r\n){0,2}", vec(any::<u8>(), 0..10)).prop_map(
        |(chunks, trailers, more)| [&chunks.concat(), &b"0\r\n"[..], trailers.as_bytes(), b"\r\n", &more].concat(),
    );
    (body, proptest::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>()))).prop_map(
        |(mut body, fault)| {
            if let Some((at, byte)) = fault {
                let at = at.index(body.len());
                body[at] = byte;
            }
            body
        },
    )
}

proptest! {
    #[test]
    fn it_is_the_same_body_however_it_is_cut(input in sent(), pieces in vec(1_usize..30, 1..8)) {
        let whole = chunks(&input);
        prop_assert_eq!(&decode(Framing::Chunked, &input, &pieces), &whole);
        prop_assert_eq!(&decode(Framing::Chunked, &input, &[1]), &whole);
    }
}
