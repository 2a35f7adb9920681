//! The forms in which a secret may still be there.

use base64::Engine as _;

/// A secret, in every form that it is looked for in.
pub struct Sought {
    forms: Vec<(&'static str, Vec<u8>)>,
}

impl Sought {
    /// What to look for: plain, in hexadecimal digits, with percent signs, in UTF-16, as numbers, and in base64 at each of the three
    /// places that it may have in its groups.
    pub fn new(secret: &str) -> Self {
        let bytes = secret.as_bytes();
        let units = || secret.encode_utf16();
        let mut forms = vec![
            ("plain", bytes.to_vec()),
            ("hexadecimal", hex(bytes).into_bytes()),
            ("hexadecimal", hex(bytes).to_lowercase().into_bytes()),
            ("percent", percent(secret).into_bytes()),
            ("percent", percent(secret).to_uppercase().into_bytes()),
            ("UTF-16", units().flat_map(u16::to_le_bytes).collect()),
            ("UTF-16", units().flat_map(u16::to_be_bytes).collect()),
            ("numbers", numbers(bytes).into_bytes()),
            ("numbers", numbers(bytes).replace(", ", ",").into_bytes()),
        ];
        let wide: Vec<u8> = units().flat_map(u16::to_le_bytes).collect();
        for text in [bytes, wide.as_slice()] {
            for shift in 0..3 {
                // Without the letters that its neighbors have a share in.
                let letters = base64(&[&[0u8; 2][..shift], text].concat());
                let from = [0, 2, 3][shift];
                let whole = (shift + text.len()) / 3 * 4;
                forms.push(("base64", letters.as_bytes()[from..whole].to_vec()));
            }
        }
        Self { forms }
    }

    /// The form in which the secret is in `text`.
    pub fn find(&self, text: &[u8]) -> Option<&'static str> {
        let has = |form: &[u8]| text.windows(form.len()).any(|part| part == form);
        self.forms.iter().find(|(_, form)| has(form)).map(|(name, _)| *name)
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

pub fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

pub fn numbers(bytes: &[u8]) -> String {
    let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
    numbers.join(", ")
}

pub fn base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
