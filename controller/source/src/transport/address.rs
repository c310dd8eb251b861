//! Which addresses a remote may resolve to.
//!
//! URLs come from tenants, requests leave from the controller. Link-local addresses and the clouds'
//! metadata services hand credentials to whoever asks from inside, and are never a Git host. The check is
//! made on every connection's resolved addresses, so a name that changes its mind does not pass it.
//! Private networks and loopback are the operator's to allow or forbid, by NetworkPolicy.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Metadata services outside the link-local ranges: AWS over IPv6, Azure, Alibaba Cloud.
const METADATA: [IpAddr; 3] = [
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
];

/// The system's resolver without the addresses above.
#[derive(Debug, Default)]
pub(super) struct Filtered(DefaultResolver);

impl Resolver for Filtered {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.0.resolve(uri, config, timeout)?;
        let mut allowed = self.empty();
        for address in found.iter().filter(|address| is_allowed(address.ip())) {
            allowed.push(*address);
        }
        if allowed.is_empty() {
            return Err(ureq::Error::Io(io::ErrorKind::PermissionDenied.into()));
        }
        Ok(allowed)
    }
}

pub(super) fn is_allowed(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !local && !address.is_unspecified() && !address.is_multicast() && !METADATA.contains(&address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_services_are_out_of_reach() {
        for text in [
            "169.254.169.254",
            "169.254.170.2",
            "::ffff:169.254.169.254",
            "fe80::1",
            "fd00:ec2::254",
            "0.0.0.0",
            "::",
            "168.63.129.16",
            "100.100.100.200",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!is_allowed(text.parse().unwrap()), "{text}");
        }
        for text in [
            "10.0.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "::1",
            "140.82.112.3",
            "2606:50c0:8000::64",
            "fd00::1",
        ] {
            assert!(is_allowed(text.parse().unwrap()), "{text}");
        }
    }
}
