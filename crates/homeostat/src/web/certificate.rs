//! The subject alternative names of a certificate.
//!
//! Only these are read, out of DER (ITU-T X.690) by hand: whether a certificate is one, and who vouches
//! for it, others have judged before. What does not fit is a certificate without names.
//!
//! Source: RFC 5280, sections 4.1 and 4.2.1.6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The object identifier 2.5.29.17.
const SUBJECT_ALT_NAME: [u8; 3] = [0x55, 0x1d, 0x11];

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;

/// `[3]` of the part that is signed: the extensions.
const EXTENSIONS: u8 = 0xa3;

const EMAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const URI: u8 = 0x86;
const IP: u8 = 0x87;

/// Names of one certificate; more are not read.
const NAMES: usize = 1000;

/// Returns the names in their order: DNS names, addresses, URIs and e-mail addresses, as Go writes
/// them.
pub fn subject_alt_names(certificate: &[u8]) -> Vec<String> {
    names(certificate).unwrap_or_default()
}

fn names(certificate: &[u8]) -> Option<Vec<String>> {
    let (whole, _) = inside(certificate, SEQUENCE)?;
    let (mut signed, _) = inside(whole, SEQUENCE)?;
    let mut extensions = None;
    while !signed.is_empty() {
        let (tag, content, rest) = next(signed)?;
        if tag == EXTENSIONS {
            extensions = Some(content);
        }
        signed = rest;
    }
    let (mut extensions, _) = inside(extensions?, SEQUENCE)?;
    while !extensions.is_empty() {
        let (extension, rest) = inside(extensions, SEQUENCE)?;
        let (id, mut value) = inside(extension, OBJECT_IDENTIFIER)?;
        extensions = rest;
        if id != SUBJECT_ALT_NAME {
            continue;
        }
        // Between both may stand whether it is critical.
        while !value.is_empty() {
            let (tag, content, rest) = next(value)?;
            if tag == OCTET_STRING {
                return general_names(inside(content, SEQUENCE)?.0);
            }
            value = rest;
        }
    }
    None
}

fn general_names(mut names: &[u8]) -> Option<Vec<String>> {
    let mut read = Vec::new();
    while !names.is_empty() && read.len() < NAMES {
        let (tag, content, rest) = next(names)?;
        names = rest;
        read.extend(match tag {
            EMAIL | DNS | URI => text(content),
            IP => address(content).map(|address| address.to_string()),
            _ => None,
        });
    }
    Some(read)
}

/// A name that can be written down: visible ASCII, as all of them are by their type.
fn text(bytes: &[u8]) -> Option<String> {
    let is_plain = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_graphic);
    is_plain.then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|four| Ipv4Addr::from(four).into()),
        16 => <[u8; 16]>::try_from(bytes).ok().map(|sixteen| Ipv6Addr::from(sixteen).into()),
        _ => None,
    }
}

/// What is inside of the first element, which must be of this tag, and what follows it.
fn inside(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = next(bytes)?;
    (found == tag).then_some((content, rest))
}

/// The first element: its tag, its content, and what follows it.
fn next(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, mut rest) = rest.split_first()?;
    let mut length = usize::from(first);
    if first >= 0x80 {
        let (digits, after) = rest.split_at_checked(usize::from(first & 0x7f))?;
        if digits.is_empty() || digits.len() > 3 {
            return None;
        }
        length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
        rest = after;
    }
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn names_are_read_in_their_order_and_what_is_cut_has_none() {
        let mut params = CertificateParams::new(vec!["am.example".to_owned()]).unwrap();
        params.subject_alt_names.extend([
            SanType::IpAddress("10.0.0.7".parse().unwrap()),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
            SanType::URI("spiffe://example/am".try_into().unwrap()),
            SanType::Rfc822Name("am@example.org".try_into().unwrap()),
        ]);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let names =
            ["am.example", "10.0.0.7", "2001:db8::1", "spiffe://example/am", "am@example.org"];
        assert_eq!(subject_alt_names(certificate.der()), names);
        for end in 0..certificate.der().len() {
            assert!(subject_alt_names(&certificate.der()[..end]).is_empty(), "{end}");
        }
        let mut bytes = certificate.der().to_vec();
        for place in 0..bytes.len() {
            bytes[place] ^= 0xff;
            let _ = subject_alt_names(&bytes);
            bytes[place] ^= 0xff;
        }
    }

    #[test]
    fn a_certificate_without_names_has_none() {
        let params = CertificateParams::new(Vec::new()).unwrap();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert!(subject_alt_names(certificate.der()).is_empty());
    }
}
