//! [`parse_escape`]: the escapes of JSON, JavaScript, URLs and HTML.

/// The first bytes of all escapes.
pub const ESCAPE_BYTES: [u8; 3] = *b"\\%&";

/// The largest number of digits after leading zeros: more than any character has.
const MAX_DIGITS: usize = 8;

/// The names that HTML gives to characters of keys. Readers accept some of them without `;`.
const HTML_NAMES: [(&str, char); 46] = [
    ("amp", '&'),
    ("apos", '\''),
    ("ast", '*'),
    ("bsol", '\\'),
    ("colon", ':'),
    ("comma", ','),
    ("commat", '@'),
    ("dash", '-'),
    ("dollar", '$'),
    ("equals", '='),
    ("excl", '!'),
    ("grave", '`'),
    ("gt", '>'),
    ("hat", '^'),
    ("hyphen", '-'),
    ("lbrace", '{'),
    ("lbrack", '['),
    ("lcub", '{'),
    ("lowbar", '_'),
    ("lpar", '('),
    ("lsqb", '['),
    ("lt", '<'),
    ("midast", '*'),
    ("minus", '-'),
    ("nbsp", ' '),
    ("newline", '\n'),
    ("num", '#'),
    ("percnt", '%'),
    ("period", '.'),
    ("plus", '+'),
    ("quest", '?'),
    ("quot", '"'),
    ("rbrace", '}'),
    ("rbrack", ']'),
    ("rcub", '}'),
    ("rpar", ')'),
    ("rsqb", ']'),
    ("semi", ';'),
    ("sol", '/'),
    ("tab", '\t'),
    ("tilde", '~'),
    ("underbar", '_'),
    ("vert", '|'),
    ("verbar", '|'),
    ("verticalline", '|'),
    ("diacriticalgrave", '`'),
];

/// The names that HTML accepts without `;`.
const NAMES_WITHOUT_SEMICOLON: [&str; 5] = ["amp", "gt", "lt", "nbsp", "quot"];

/// The value of an escape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EscapedValue {
    /// A byte, perhaps one of several of a character.
    Byte(u8),
    Character(char),
}

/// What a text that begins with an escape byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EscapeState {
    /// The beginning of an escape.
    Incomplete,
    /// Not an escape.
    Invalid,
    /// An escape of this length.
    Complete(EscapedValue, usize),
}

/// Parses the escape at the start of a text that begins with an escape byte.
pub fn parse_escape(text: &[u8]) -> EscapeState {
    match text {
        [b'%', rest @ ..] => parse_percent(rest),
        [b'\\', rest @ ..] => parse_backslash(rest),
        [b'&', b'#', b'x' | b'X', digits @ ..] => parse_digits(digits, 16, Some(b';'), 3),
        [b'&', b'#', digits @ ..] => parse_digits(digits, 10, Some(b';'), 2),
        [b'&', name @ ..] => parse_name(name),
        _ => EscapeState::Invalid,
    }
}

/// True if one more zero does not change the number of this incomplete escape.
pub fn absorbs_zero(escape: &[u8]) -> bool {
    matches!(escape, [b'&', b'#', b'0'] | [b'&', b'#', b'x' | b'X', b'0'] | [b'\\', b'u' | b'U', b'{', b'0'])
}

fn parse_percent(rest: &[u8]) -> EscapeState {
    match rest {
        [b'u' | b'U', digits @ ..] => parse_fixed_digits(digits, 4, 2, to_character),
        digits => parse_fixed_digits(digits, 2, 1, |number| EscapedValue::Byte(number as u8)),
    }
}

fn parse_backslash(rest: &[u8]) -> EscapeState {
    let to_byte = |number| EscapedValue::Byte(number as u8);
    let state = match rest {
        [] => return EscapeState::Incomplete,
        [b'u' | b'U', b'{', digits @ ..] => parse_digits(digits, 16, None, 3),
        [b'u' | b'U', digits @ ..] => parse_fixed_digits(digits, 4, 2, to_character),
        [b'x' | b'X', digits @ ..] => parse_fixed_digits(digits, 2, 2, to_byte),
        [b'0'..=b'3', more @ ..] if more.iter().take(2).all(|digit| matches!(digit, b'0'..=b'7')) => {
            match parse_number(&rest[..rest.len().min(3)], 8) {
                Some(number) if rest.len() >= 3 => EscapeState::Complete(to_byte(number), 4),
                _ => EscapeState::Incomplete,
            }
        }
        _ => EscapeState::Invalid,
    };
    match (state, rest) {
        (EscapeState::Invalid, [b'n', ..]) => EscapeState::Complete(EscapedValue::Byte(b'\n'), 2),
        (EscapeState::Invalid, [b'r', ..]) => EscapeState::Complete(EscapedValue::Byte(b'\r'), 2),
        (EscapeState::Invalid, [b't', ..]) => EscapeState::Complete(EscapedValue::Byte(b'\t'), 2),
        // Any other character stands for itself.
        (EscapeState::Invalid, [other, ..]) => EscapeState::Complete(EscapedValue::Byte(*other), 2),
        (state, _) => state,
    }
}

/// Parses exactly `count` hexadecimal digits. `prefix_len` is the length of the escape before them.
fn parse_fixed_digits(
    digits: &[u8],
    count: usize,
    prefix_len: usize,
    to_value: impl Fn(u32) -> EscapedValue,
) -> EscapeState {
    let digits = &digits[..digits.len().min(count)];
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return EscapeState::Invalid;
    }
    match parse_number(digits, 16) {
        Some(number) if digits.len() == count => EscapeState::Complete(to_value(number), prefix_len + count),
        _ => EscapeState::Incomplete,
    }
}

/// Parses any number of digits. They end with `optional_end` or without it, or else with `}`.
fn parse_digits(digits: &[u8], radix: u32, optional_end: Option<u8>, prefix_len: usize) -> EscapeState {
    let count = digits.iter().take(MAX_DIGITS).take_while(|digit| char::from(**digit).is_digit(radix)).count();
    let end = match digits.get(count) {
        None => return EscapeState::Incomplete,
        Some(end) => *end,
    };
    let end_len = usize::from(end == optional_end.unwrap_or(b'}'));
    match parse_number(&digits[..count], radix) {
        Some(number) if optional_end.is_some() || end_len == 1 => {
            EscapeState::Complete(to_character(number), prefix_len + count + end_len)
        }
        _ => EscapeState::Invalid,
    }
}

fn parse_name(name: &[u8]) -> EscapeState {
    let count = name.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let name_before_end = &name[..count];
    let Some(end) = name.get(count) else {
        let is_start = |(full, _): &(&str, char)| {
            full.as_bytes().get(..count).is_some_and(|start| start.eq_ignore_ascii_case(name_before_end))
        };
        return match HTML_NAMES.iter().any(is_start) {
            true => EscapeState::Incomplete,
            false => EscapeState::Invalid,
        };
    };
    let is_name = |(full, _): &&(&str, char)| {
        full.as_bytes().eq_ignore_ascii_case(name_before_end)
            && (*end == b';' || NAMES_WITHOUT_SEMICOLON.contains(full))
    };
    HTML_NAMES.iter().find(is_name).map_or(EscapeState::Invalid, |(_, character)| {
        EscapeState::Complete(EscapedValue::Character(*character), 1 + count + usize::from(*end == b';'))
    })
}

fn parse_number(digits: &[u8], radix: u32) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

fn to_character(number: u32) -> EscapedValue {
    EscapedValue::Character(char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER))
}
