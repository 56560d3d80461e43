//! Bodies: each has one end, and in it is what was sent.
//!
//! The input is some header lines (the first may be `1.0`), an empty line, and what follows. The rules are written down once more from
//! the grammar of RFC 9112, for an input that is all there.

use foghorn::config::limits::BODY_EXTRA_BYTES_MAX;
use foghorn::http::body::{BodyDecoder, Framing};

use crate::{Kind, kind};

/// The largest body, in bytes.
const BODY_BYTES_MAX: usize = 1000;
/// What is read at a time where it is not known what follows, in bytes.
const PIECE_BYTES: u64 = 1024;

/// What became of an input: the body and how many bytes it took, or that more has to come.
type Decoded = Result<Option<(Vec<u8>, usize)>, u16>;

/// Any bytes as header lines and a body.
///
/// # Panics
/// If the end of a body depends on how it was cut, is another one than the grammar's, or is seen where another server may see none.
pub fn target(bytes: &[u8]) -> Kind {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    let (lines, input) = end.map_or((&b""[..], bytes), |end| (&bytes[..end], &bytes[end + 4..]));
    let lines = String::from_utf8_lossy(lines);
    let values = |wanted: &str| -> Vec<String> {
        let fields = lines.split("\r\n").filter_map(|line| line.split_once(':'));
        let fields = fields.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        fields.map(|(_, value)| value.trim_matches([' ', '\t']).to_owned()).collect()
    };
    let (lengths, codings) = (values("content-length"), values("transfer-encoding"));
    let minor_version = u8::from(!lines.starts_with("1.0"));
    let framing =
        Framing::of(minor_version, lengths.iter().map(String::as_bytes), codings.iter().map(String::as_bytes));
    assert_eq!(framing.ok(), expected_framing(minor_version, &lengths, &codings), "{lines:?}");
    // Without lines, so that random bytes get somewhere.
    let framing = if end.is_none() { Ok(Framing::Chunked) } else { framing };
    let Ok(framing) = framing else { return kind(("refused", lengths.len().min(3), codings.len().min(3))) };

    let whole = decode(framing, input, usize::MAX);
    for piece_bytes in [1, 2, 3, 7, 64, 1024] {
        assert_eq!(decode(framing, input, piece_bytes), whole, "in pieces of {piece_bytes}");
    }
    match framing {
        Framing::None => assert_eq!(whole, Ok(Some((Vec::new(), 0)))),
        Framing::Length(bytes) if bytes > BODY_BYTES_MAX as u64 => assert_eq!(whole, Err(413)),
        Framing::Length(bytes) => {
            let body = usize::try_from(bytes).ok().and_then(|bytes| input.get(..bytes));
            assert_eq!(whole, Ok(body.map(|body| (body.to_vec(), body.len()))));
        }
        Framing::Chunked => check_chunks(input, &whole),
    }
    let sizes = whole.map(|decoded| decoded.map(|(body, taken)| (body.len().checked_ilog2(), taken.checked_ilog2())));
    kind((framing == Framing::Chunked, sizes, chunk_sizes(input).0.len().min(10)))
}

/// The same as the code, in other words: all values of a header are one list.
fn expected_framing(minor_version: u8, lengths: &[String], codings: &[String]) -> Option<Framing> {
    match (lengths.join(","), codings.join(",")) {
        _ if lengths.is_empty() && codings.is_empty() => Some(Framing::None),
        (length, _) if codings.is_empty() => {
            let is_number = !length.is_empty() && length.chars().all(|char| char.is_ascii_digit());
            // Whatever does not fit is as large as can be.
            let bytes = length.parse::<u128>().unwrap_or(u128::MAX);
            is_number.then(|| Framing::Length(u64::try_from(bytes).unwrap_or(u64::MAX)))
        }
        (_, coding) => {
            let is_chunked = coding.eq_ignore_ascii_case("chunked") && lengths.is_empty() && minor_version == 1;
            is_chunked.then_some(Framing::Chunked)
        }
    }
}

/// What the server makes of a body that comes in pieces.
fn decode(framing: Framing, input: &[u8], piece_bytes: usize) -> Decoded {
    let mut decoder = BodyDecoder::new(framing, BODY_BYTES_MAX).map_err(|refusal| refusal.status)?;
    let (mut body, mut at) = (Vec::new(), 0);
    while at < input.len() && !decoder.is_complete() {
        let piece = &input[at..at.saturating_add(piece_bytes).min(input.len())];
        let taken = decoder.decode(piece, &mut body).map_err(|refusal| refusal.status)?;
        assert!(taken == piece.len() || decoder.is_complete(), "what is not taken is not the body's");
        assert!(body.len() <= BODY_BYTES_MAX, "{} bytes", body.len());
        at += taken;
    }
    Ok(decoder.is_complete().then_some((body, at)))
}

fn check_chunks(input: &[u8], decoded: &Decoded) {
    let expected = chunked_body(input).filter(|body| body.data.len() <= BODY_BYTES_MAX);
    let expected = expected.filter(|body| body.extra_bytes <= BODY_EXTRA_BYTES_MAX);
    let expected = expected.map(|body| (body.data, input.len() - body.rest.len()));
    match decoded {
        Ok(Some(body)) => assert_eq!(Some(body), expected.as_ref()),
        Ok(None) => {
            assert_eq!(expected, None);
            let (sizes, extra_bytes) = chunk_sizes(input);
            let is_hopeless = sizes.iter().sum::<u128>() > BODY_BYTES_MAX as u128;
            assert!(is_hopeless || extra_bytes + 8 > BODY_EXTRA_BYTES_MAX || has_completion(input), "no end is left");
        }
        Err(413) => {
            assert_eq!(expected, None);
            assert!(chunk_sizes(input).0.iter().sum::<u128>() > BODY_BYTES_MAX as u128, "it is not too large");
        }
        Err(_) => {
            assert_eq!(expected, None);
            let mut again = BodyDecoder::new(Framing::Chunked, BODY_BYTES_MAX).expect("no length, no limit");
            let mut is_wrong = |byte: &u8| again.decode(&[*byte], &mut Vec::new()).is_err();
            let wrong = input.iter().position(&mut is_wrong).expect("some byte is wrong");
            let until_wrong = &input[..=wrong];
            let is_too_much = chunk_sizes(until_wrong).1 > BODY_EXTRA_BYTES_MAX;
            assert!(is_too_much || !has_completion(until_wrong), "it is refused although it can still be right");
        }
    }
}

/// A body in chunks, as the grammar has it.
struct ChunkedBody<'a> {
    data: Vec<u8>,
    extra_bytes: usize,
    rest: &'a [u8],
}

/// `chunked-body = *chunk last-chunk trailer-section CRLF` (RFC 9112 section 7.1), whatever its size.
fn chunked_body(input: &[u8]) -> Option<ChunkedBody<'_>> {
    let mut body = ChunkedBody { data: Vec::new(), extra_bytes: 0, rest: input };
    loop {
        let (line, rest) = line(body.rest)?;
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (size, extension) = line.split_at(digits);
        if size.is_empty() || size.len() > 16 || !is_extension(extension) {
            return None;
        }
        body.extra_bytes += extension.len();
        body.rest = rest;
        let size = u64::from_str_radix(std::str::from_utf8(size).ok()?, 16).ok()?;
        if size == 0 {
            break;
        }
        let (data, rest) = rest.split_at_checked(usize::try_from(size).ok()?)?;
        body.data.extend(data);
        body.rest = rest.strip_prefix(b"\r\n")?;
    }
    loop {
        let (line, rest) = line(body.rest)?;
        body.rest = rest;
        if line.is_empty() {
            return Some(body);
        }
        let name = line.iter().position(|byte| *byte == b':')?;
        if name == 0 || !line[..name].iter().copied().all(is_token) || !line[name + 1..].iter().copied().all(is_text) {
            return None;
        }
        body.extra_bytes += line.len();
    }
}

/// A line without its end, and what follows. No line has a CR or LF in it.
fn line(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = input.iter().position(|byte| matches!(byte, b'\r' | b'\n'))?;
    Some((&input[..end], input[end..].strip_prefix(b"\r\n")?))
}

/// Nothing, or a semicolon and then what tokens, quoted strings, `=` and `;` make, with no blanks outside of quotes.
fn is_extension(bytes: &[u8]) -> bool {
    let Some(mut rest) = bytes.strip_prefix(b";") else { return bytes.is_empty() };
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first == b'"' {
            loop {
                match rest {
                    [b'"', more @ ..] => break rest = more,
                    [b'\\', escaped, more @ ..] if is_text(*escaped) => rest = more,
                    [other, more @ ..] if *other != b'\\' && is_text(*other) => rest = more,
                    _ => return false,
                }
            }
        } else if !is_token(*first) && !b";=".contains(first) {
            return false;
        }
    }
    true
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte)
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

/// The sizes of the chunks that have begun, as far as they have come, and the bytes beside the data.
fn chunk_sizes(input: &[u8]) -> (Vec<u128>, usize) {
    let (mut sizes, mut extra_bytes, mut rest) = (Vec::new(), 0, input);
    loop {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size =
            std::str::from_utf8(&rest[..digits.min(16)]).ok().and_then(|size| u128::from_str_radix(size, 16).ok());
        let Some(size) = size else { return (sizes, extra_bytes) };
        sizes.push(size);
        let Some((line, more)) = line(rest) else { return (sizes, extra_bytes + rest.len() - digits) };
        extra_bytes += line.len() - digits;
        let next = usize::try_from(size).ok().and_then(|size| more.split_at_checked(size));
        match next.and_then(|(_, more)| more.strip_prefix(b"\r\n")) {
            Some(more) if size > 0 => rest = more,
            _ if size > 0 => return (sizes, extra_bytes),
            // Trailers.
            _ => return (sizes, extra_bytes + more.len()),
        }
    }
}

/// Whether some end makes a body of it.
fn has_completion(input: &[u8]) -> bool {
    let joints: [&[u8]; 5] = [b"", b"\n", b"\r\n", b"\"\r\n", b"a\"\r\n"];
    let ends: [&[u8]; 7] =
        [b"\r\n0\r\n\r\n", b"\n0\r\n\r\n", b"0\r\n\r\n", b"\r\n\r\n", b"\n\r\n", b"\n", b":\r\n\r\n"];
    joints.into_iter().any(|joint| {
        let joined = [input, joint].concat();
        let mut decoder = BodyDecoder::new(Framing::Chunked, usize::MAX).expect("no length, no limit");
        let left = match decoder.decode(&joined, &mut Vec::new()) {
            Ok(_) => decoder.readable_bytes().saturating_sub(PIECE_BYTES).min(BODY_BYTES_MAX as u64),
            Err(_) => 0,
        };
        let data = vec![b'x'; usize::try_from(left).expect("it is small")];
        std::iter::once(&joints[0]).chain(&ends).any(|end| chunked_body(&[&joined, &data[..], end].concat()).is_some())
    })
}
