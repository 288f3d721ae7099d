use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many buckets are kept, before those that are full are forgotten: a full one is as good as none.
const BUCKETS: usize = 10_000;

/// How many requests a token may send, or an address that sends them without a token that is good.
///
/// ```
/// use pgmill_server::RateLimit;
///
/// let limit = RateLimit::per_second(50).burst(200);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    per_second: u32,
    burst: u32,
}

impl RateLimit {
    /// So many a second in the long run, at least 1, and as many at once.
    #[must_use]
    pub const fn per_second(requests: u32) -> Self {
        let requests = if requests == 0 { 1 } else { requests };
        Self { per_second: requests, burst: requests }
    }

    /// How many at once after a pause, at least 1. Default as many as in a second.
    #[must_use]
    pub const fn burst(self, requests: u32) -> Self {
        Self { burst: if requests == 0 { 1 } else { requests }, ..self }
    }
}

/// Who is limited together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// Whoever uses this token.
    Token(u64),
    /// An address; of IPv6 the network of 64 bits, which is what one subscriber has.
    Peer(IpAddr),
    /// All whose address is not known, or for whom there is no bucket left.
    Others,
    /// What an address sends that looks like a token, and of which nothing is known yet; without an address, as `Others`.
    Stranger(Option<IpAddr>),
}

impl Source {
    pub(crate) fn peer(address: Option<IpAddr>) -> Self {
        match address {
            Some(IpAddr::V6(address)) => match address.to_ipv4_mapped() {
                Some(mapped) => Self::Peer(mapped.into()),
                None => Self::Peer(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
            },
            Some(address) => Self::Peer(address),
            None => Self::Others,
        }
    }

    /// The same, for what it sends of which nothing is known yet.
    pub(crate) fn stranger(address: Option<IpAddr>) -> Self {
        match Self::peer(address) {
            Self::Peer(address) => Self::Stranger(Some(address)),
            _ => Self::Stranger(None),
        }
    }

    /// With whom it is limited where there is no bucket left for it.
    fn crowded(self) -> Self {
        match self {
            Self::Peer(_) => Self::Others,
            Self::Stranger(_) => Self::Stranger(None),
            Self::Token(_) | Self::Others => self,
        }
    }
}

/// A bucket for each source: a request takes one out, and they fill up again with time.
#[derive(Debug)]
pub(crate) struct Limiter {
    limit: RateLimit,
    buckets: Mutex<HashMap<Source, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Limiter {
    pub(crate) fn new(limit: RateLimit) -> Self {
        Self { limit, buckets: Mutex::default() }
    }

    /// Counts a request of this source.
    ///
    /// # Errors
    /// How long to wait, if there were too many.
    pub(crate) fn take(&self, source: Source, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS && !buckets.contains_key(&source) {
            buckets.retain(|_, bucket| self.filled(bucket, now) < f64::from(self.limit.burst));
        }
        // Tokens are few. Addresses are as many as somebody likes.
        let is_crowded = buckets.len() >= BUCKETS && !buckets.contains_key(&source);
        let source = if is_crowded { source.crowded() } else { source };
        let full = Bucket { left: f64::from(self.limit.burst), at: now };
        let bucket = buckets.entry(source).or_insert(full);
        let left = self.filled(bucket, now);
        let (taken, answer) = if left >= 1.0 {
            (1.0, Ok(()))
        } else {
            (0.0, Err(Duration::from_secs_f64((1.0 - left) / f64::from(self.limit.per_second))))
        };
        *bucket = Bucket { left: left - taken, at: now };
        answer
    }

    /// Takes back that a request of this source was counted.
    pub(crate) fn give_back(&self, source: Source) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        // Where there is no bucket, it was counted among all others.
        let source = if buckets.contains_key(&source) { source } else { source.crowded() };
        if let Some(bucket) = buckets.get_mut(&source) {
            bucket.left = (bucket.left + 1.0).min(f64::from(self.limit.burst));
        }
    }

    fn filled(&self, bucket: &Bucket, now: Instant) -> f64 {
        let since = now.saturating_duration_since(bucket.at).as_secs_f64();
        (bucket.left + since * f64::from(self.limit.per_second)).min(f64::from(self.limit.burst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Source = Source::Token(1);

    fn passed(limiter: &Limiter, source: Source, now: Instant, tries: u32) -> u32 {
        (0..tries).filter(|_| limiter.take(source, now).is_ok()).count().try_into().unwrap()
    }

    #[test]
    fn a_burst_passes_and_then_as_many_as_the_rate_allows() {
        let limiter = Limiter::new(RateLimit::per_second(10).burst(30));
        let start = Instant::now();
        assert_eq!(passed(&limiter, ME, start, 100), 30);
        assert_eq!(passed(&limiter, ME, start + Duration::from_millis(500), 100), 5);
        assert_eq!(passed(&limiter, ME, start + Duration::from_secs(3_600), 100), 30, "no more than a burst");
    }

    #[test]
    fn whoever_is_refused_is_told_when_there_is_room() {
        let limiter = Limiter::new(RateLimit::per_second(2).burst(1));
        let start = Instant::now();
        assert_eq!(limiter.take(ME, start), Ok(()));
        let wait = limiter.take(ME, start).unwrap_err();
        assert_eq!(wait, Duration::from_millis(500));
        assert_eq!(limiter.take(ME, start + wait), Ok(()));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_no_more_than_a_burst() {
        let limiter = Limiter::new(RateLimit::per_second(1).burst(2));
        let now = Instant::now();
        limiter.give_back(ME);
        assert_eq!(passed(&limiter, ME, now, 9), 2);
        limiter.give_back(ME);
        assert_eq!(passed(&limiter, ME, now, 9), 1);
        (0..9).for_each(|_| limiter.give_back(ME));
        assert_eq!(passed(&limiter, ME, now, 9), 2);
    }

    #[test]
    fn sources_have_buckets_of_their_own() {
        let limiter = Limiter::new(RateLimit::per_second(1));
        let now = Instant::now();
        let v4 = Source::peer(Some([192, 0, 2, 1].into()));
        let strangers = [Source::stranger(Some([192, 0, 2, 1].into())), Source::stranger(None)];
        for source in [ME, Source::Token(2), v4, Source::Others].into_iter().chain(strangers) {
            assert_eq!(passed(&limiter, source, now, 9), 1, "{source:?}");
        }
        assert_eq!(Source::peer(Some("::ffff:192.0.2.1".parse().unwrap())), v4);
        let one: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        let same: IpAddr = "2001:db8:0:1:ffff::".parse().unwrap();
        let other: IpAddr = "2001:db8:0:2::1".parse().unwrap();
        assert_eq!(Source::peer(Some(one)), Source::peer(Some(same)));
        assert_ne!(Source::peer(Some(one)), Source::peer(Some(other)));
    }

    #[test]
    fn many_addresses_take_bounded_memory_and_crowd_out_no_token() {
        let limiter = Limiter::new(RateLimit::per_second(1));
        let now = Instant::now();
        let peer = |number: u32| Source::peer(Some(number.to_be_bytes().into()));
        for number in 0..20_000 {
            let _ = limiter.take(peer(number), now);
        }
        assert!(limiter.buckets.lock().unwrap().len() <= BUCKETS + 1);
        assert!(limiter.take(peer(30_000), now).is_err(), "shares a bucket with the others");
        assert_eq!(limiter.take(ME, now), Ok(()));
        let later = now + Duration::from_secs(1);
        assert_eq!(limiter.take(peer(40_000), later), Ok(()));
        assert!(limiter.buckets.lock().unwrap().len() < 10, "those that were full again are gone");
    }
}
