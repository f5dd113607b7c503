//! The names of `assets/nasty-names.txt`.

/// All of them, as bytes.
pub fn nasty_names() -> Vec<Vec<u8>> {
    let list = include_str!("../../../assets/nasty-names.txt");
    list.lines().filter(|line| !line.starts_with('#')).map(unescape).collect()
}

fn unescape(line: &str) -> Vec<u8> {
    let mut name = Vec::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\\' {
            name.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let (kind, after) = rest.split_at(1);
        rest = match kind {
            "n" => push(&mut name, b"\n", after),
            "t" => push(&mut name, b"\t", after),
            "\\" => push(&mut name, b"\\", after),
            "x" => push(&mut name, &[u8::from_str_radix(&after[..2], 16).unwrap()], &after[2..]),
            "u" => {
                let (hex, after) = after.strip_prefix('{').and_then(|after| after.split_once('}')).unwrap();
                let c = char::from_u32(u32::from_str_radix(hex, 16).unwrap()).unwrap();
                push(&mut name, c.encode_utf8(&mut [0; 4]).as_bytes(), after)
            }
            other => panic!("no such escape: \\{other} in {line}"),
        };
    }
    name
}

fn push<'a>(name: &mut Vec<u8>, bytes: &[u8], rest: &'a str) -> &'a str {
    name.extend_from_slice(bytes);
    rest
}
