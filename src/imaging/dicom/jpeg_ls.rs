//! JPEG-LS (ITU-T T.87) of one component, lossless and near-lossless.
//!
//! Names of variables follow the standard's. Restart intervals, mapping tables and several components are not read.

use super::refusal::{Deadline, Refusal};

/// Orders of the run lengths (code segment A.15).
const J: [u32; 32] = [
    0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 9, 10, 11, 12, 13,
    14, 15,
];

/// Decodes a picture of `width` times `height` values.
///
/// # Errors
/// When the stream is cut short, has another size, or uses what is not read.
pub fn decode(
    bytes: &[u8],
    width: usize,
    height: usize,
    deadline: Deadline,
) -> Result<Vec<u16>, Refusal> {
    let head = Head::read(bytes)?;
    if (head.width, head.height) != (width, height) {
        return Err(Refusal::Damaged(format!(
            "its JPEG-LS picture has {}×{} pixels, not {width}×{height}",
            head.width, head.height
        )));
    }
    let mut coder = Coder::new(&head, bytes.get(head.scan..).unwrap_or_default())?;
    // Each line has a value beside either end.
    let (mut above, mut line) = (vec![0_i32; width + 2], vec![0_i32; width + 2]);
    let mut values = Vec::with_capacity(width * height);
    for _ in 0..height {
        deadline.check()?;
        above[width + 1] = above[width];
        line[0] = above[1];
        coder.line(&above, &mut line)?;
        values.extend(line[1..=width].iter().map(|&value| value as u16));
        std::mem::swap(&mut above, &mut line);
    }
    Ok(values)
}

/// What the markers before the scan say.
#[derive(Debug, Default)]
struct Head {
    precision: u8,
    width: usize,
    height: usize,
    near: i32,
    /// MAXVAL, T1, T2, T3 and RESET where given, else 0.
    preset: [i32; 5],
    /// Where the scan's data begin.
    scan: usize,
}

impl Head {
    fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let unsupported = |what: &str| Err(Refusal::Unsupported(format!("JPEG-LS with {what}")));
        let mut head = Self::default();
        let mut at = 2;
        loop {
            let marker = bytes.get(at..at + 4).ok_or(Refusal::Truncated)?;
            let &[0xFF, kind, high, low] = marker else {
                return Err(Refusal::Damaged("its JPEG-LS stream has no marker".to_owned()));
            };
            if kind == 0xFF {
                at += 1;
                continue;
            }
            let length = usize::from(u16::from_be_bytes([high, low]));
            let segment = bytes.get(at + 4..(at + 2 + length).max(at + 4));
            let segment = segment.ok_or(Refusal::Truncated)?;
            at += 2 + length.max(2);
            let word = |at: usize| match segment.get(at..at + 2) {
                Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
                _ => Err(Refusal::Truncated),
            };
            match kind {
                0xF7 => {
                    head.precision = *segment.first().ok_or(Refusal::Truncated)?;
                    (head.height, head.width) = (word(1)?.into(), word(3)?.into());
                    if segment.get(5) != Some(&1) {
                        return unsupported("several components");
                    }
                }
                0xF8 if segment.first() == Some(&1) => {
                    for (n, value) in head.preset.iter_mut().enumerate() {
                        *value = word(1 + 2 * n)?.into();
                    }
                }
                0xF8 => return unsupported("mapping tables"),
                0xDD => return unsupported("restart intervals"),
                0xDA => {
                    let near = segment.get(3).ok_or(Refusal::Truncated)?;
                    head.near = i32::from(*near);
                    head.scan = at;
                    break;
                }
                _ => {}
            }
        }
        if !(2..=16).contains(&head.precision) {
            return Err(Refusal::Damaged(format!("its JPEG-LS has {} bits", head.precision)));
        }
        Ok(head)
    }
}

/// Adaptive state of one context.
#[derive(Clone, Copy, Debug)]
struct Context {
    a: i32,
    b: i32,
    c: i32,
    n: i32,
}

/// Decoder of one scan.
struct Coder<'a> {
    bits: Bits<'a>,
    near: i32,
    maxval: i32,
    /// T1 to T3.
    t: [i32; 3],
    reset: i32,
    range: i32,
    qbpp: u32,
    limit: u32,
    contexts: Vec<Context>,
    /// Of run interruptions; `b` counts the negative errors.
    interruptions: [Context; 2],
    run_index: usize,
}

impl<'a> Coder<'a> {
    fn new(head: &Head, scan: &'a [u8]) -> Result<Self, Refusal> {
        let full = (1 << head.precision) - 1;
        let given = |n: usize, default: i32| match head.preset[n] {
            0 => default,
            value => value,
        };
        let (maxval, near) = (given(0, full), head.near);
        let defaults = thresholds(maxval, near);
        let t = [given(1, defaults[0]), given(2, defaults[1]), given(3, defaults[2])];
        let reset = given(4, 64);
        let sound = maxval <= full
            && near <= (maxval / 2).min(255)
            && near < t[0]
            && t[0] <= t[1]
            && t[1] <= t[2]
            && t[2] <= maxval
            && reset >= 3;
        if !sound {
            return Err(Refusal::Damaged(
                "its JPEG-LS parameters contradict each other".to_owned(),
            ));
        }
        let range = if near == 0 { maxval + 1 } else { (maxval + 2 * near) / (2 * near + 1) + 1 };
        let bits_for = |values: i32| 32 - (values - 1).leading_zeros();
        let bpp = bits_for(maxval + 1).max(2);
        let start = Context { a: ((range + 32) / 64).max(2), b: 0, c: 0, n: 1 };
        Ok(Self {
            bits: Bits { bytes: scan, at: 0, hold: 0, held: 0, stuffed: false },
            near,
            maxval,
            t,
            reset,
            range,
            qbpp: bits_for(range),
            limit: 2 * (bpp + bpp.max(8)),
            contexts: vec![start; 365],
            interruptions: [start; 2],
            run_index: 0,
        })
    }

    /// Decodes `line[1..]` but for its last place; `line[0]` and all of `above` are set.
    fn line(&mut self, above: &[i32], line: &mut [i32]) -> Result<(), Refusal> {
        let width = line.len() - 2;
        let mut x = 1;
        while x <= width {
            let (ra, rb, rc, rd) = (line[x - 1], above[x], above[x - 1], above[x + 1]);
            let d = [rd - rb, rb - rc, rc - ra];
            if d.iter().all(|d| d.abs() <= self.near) {
                let run = self.run(width + 1 - x)?;
                line[x..x + run].fill(ra);
                x += run;
                if x <= width {
                    line[x] = self.interruption(ra, above[x])?;
                    x += 1;
                }
            } else {
                line[x] = self.regular(d, [ra, rb, rc])?;
                x += 1;
            }
        }
        Ok(())
    }

    /// Decodes a value in its context (A.4 to A.6).
    fn regular(&mut self, d: [i32; 3], [ra, rb, rc]: [i32; 3]) -> Result<i32, Refusal> {
        let [q1, q2, q3] = d.map(|d| self.quantise(d));
        let index = 81 * q1 + 9 * q2 + q3;
        let sign = if index < 0 { -1 } else { 1 };
        let place = index.unsigned_abs() as usize;
        let context = self.contexts[place];
        let predicted = if rc >= ra.max(rb) {
            ra.min(rb)
        } else if rc <= ra.min(rb) {
            ra.max(rb)
        } else {
            ra + rb - rc
        };
        let predicted = (predicted + sign * context.c).clamp(0, self.maxval);
        let k = order(context.n, context.a);
        let mapped = self.golomb(k, self.limit)?;
        let error = if self.near == 0 && k == 0 && 2 * context.b <= -context.n {
            if mapped & 1 == 1 { mapped >> 1 } else { -(mapped >> 1) - 1 }
        } else if mapped & 1 == 0 {
            mapped >> 1
        } else {
            -(mapped >> 1) - 1
        };
        let (near, reset) = (self.near, self.reset);
        self.contexts[place].update(error, near, reset);
        Ok(self.reconstruct(predicted, sign * error))
    }

    /// Decodes the length of a run (A.7.1).
    fn run(&mut self, rest: usize) -> Result<usize, Refusal> {
        let mut run = 0;
        while self.bits.take(1)? == 1 {
            let step = 1 << J[self.run_index];
            run += step;
            if run <= rest {
                self.run_index = (self.run_index + 1).min(31);
            }
            if run >= rest {
                return Ok(rest);
            }
        }
        run += self.bits.take(J[self.run_index])? as usize;
        // A run that a zero ends is followed by another value.
        if run >= rest { Err(out_of_line()) } else { Ok(run) }
    }

    /// Decodes the value that ends a run (A.7.2).
    fn interruption(&mut self, ra: i32, rb: i32) -> Result<i32, Refusal> {
        let same = (ra - rb).abs() <= self.near;
        let kind = i32::from(same);
        let context = self.interruptions[usize::from(same)];
        let k = order(context.n, context.a + if same { context.n >> 1 } else { 0 });
        let coded = self.golomb(k, self.limit - J[self.run_index] - 1)?;
        self.run_index = self.run_index.saturating_sub(1);
        let doubled = coded + kind;
        let map = doubled & 1;
        let size = (doubled >> 1) + map;
        let negative = (k != 0 || 2 * context.b >= context.n) == (map == 1);
        let error = if negative { -size } else { size };
        let reset = self.reset;
        let context = &mut self.interruptions[usize::from(same)];
        context.b += i32::from(error < 0);
        context.a = context.a.saturating_add((coded + 1 - kind) >> 1);
        if context.n == reset {
            context.a >>= 1;
            context.b >>= 1;
            context.n >>= 1;
        }
        context.n += 1;
        let sign = if !same && ra > rb { -1 } else { 1 };
        Ok(self.reconstruct(if same { ra } else { rb }, sign * error))
    }

    /// Decodes a limited-length Golomb code (A.5.3); what no encoder writes comes out as some value within 17 bits.
    fn golomb(&mut self, k: u32, limit: u32) -> Result<i32, Refusal> {
        let most = limit.saturating_sub(self.qbpp + 1);
        let mut zeros = 0;
        while zeros < most && self.bits.take(1)? == 0 {
            zeros += 1;
        }
        let value = if zeros < most {
            (u64::from(zeros) << k) | u64::from(self.bits.take(k)?)
        } else {
            // The one that ends the zeros was not read.
            if self.bits.take(1)? != 1 {
                return Err(Refusal::Damaged("its JPEG-LS codes are too long".to_owned()));
            }
            u64::from(self.bits.take(self.qbpp)?) + 1
        };
        Ok(value.min(1 << 20) as i32)
    }

    fn quantise(&self, d: i32) -> i32 {
        let size = d.abs();
        let level = if size <= self.near {
            0
        } else {
            1 + self.t.iter().filter(|&&t| size >= t).count() as i32
        };
        level * d.signum()
    }

    /// Adds an error to a prediction, modulo the range (A.4.4, A.4.5).
    fn reconstruct(&self, predicted: i32, error: i32) -> i32 {
        let step = 2 * self.near + 1;
        let mut value = predicted + error * step;
        if value < -self.near {
            value += self.range * step;
        } else if value > self.maxval + self.near {
            value -= self.range * step;
        }
        value.clamp(0, self.maxval)
    }
}

impl Context {
    /// Learns from an error (A.6).
    fn update(&mut self, error: i32, near: i32, reset: i32) {
        self.b = self.b.saturating_add(error * (2 * near + 1));
        self.a = self.a.saturating_add(error.abs());
        if self.n == reset {
            self.a >>= 1;
            self.b >>= 1;
            self.n >>= 1;
        }
        self.n += 1;
        if self.b <= -self.n {
            self.b = (self.b + self.n).max(1 - self.n);
            self.c = (self.c - 1).max(-128);
        } else if self.b > 0 {
            self.b = (self.b - self.n).min(0);
            self.c = (self.c + 1).min(127);
        }
    }
}

/// Returns the order of the Golomb code: the least `k` with `n * 2^k >= a`.
fn order(n: i32, a: i32) -> u32 {
    (0..24).find(|&k| i64::from(n) << k >= i64::from(a)).unwrap_or(24)
}

/// Default thresholds (C.2.4.1.1).
fn thresholds(maxval: i32, near: i32) -> [i32; 3] {
    let clamp =
        |value: i32, least: i32| if value > maxval || value < least { least } else { value };
    let bases = if maxval >= 128 {
        let factor = (maxval.min(4095) + 128) / 256;
        [factor + 2, 4 * factor + 3, 17 * factor + 4]
    } else {
        let factor = 256 / (maxval + 1);
        [3, 7, 21].map(|base| base / factor)
    };
    let least = if maxval >= 128 { [0, 0, 0] } else { [2, 3, 4] };
    let t1 = clamp((bases[0] + 3 * near).max(least[0]), near + 1);
    let t2 = clamp((bases[1] + 5 * near).max(least[1]), t1);
    [t1, t2, clamp((bases[2] + 7 * near).max(least[2]), t2)]
}

fn out_of_line() -> Refusal {
    Refusal::Damaged("a run of its JPEG-LS leaves the line".to_owned())
}

/// Bits of a scan, in which a zero is stuffed after each byte of ones.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    hold: u64,
    held: u32,
    stuffed: bool,
}

impl Bits<'_> {
    /// Takes up to 32 bits.
    fn take(&mut self, count: u32) -> Result<u32, Refusal> {
        while self.held < count {
            let &byte = self.bytes.get(self.at).ok_or(Refusal::Truncated)?;
            if self.stuffed && byte >= 0x80 {
                // A marker.
                return Err(Refusal::Truncated);
            }
            let bits = if self.stuffed { 7 } else { 8 };
            self.hold = (self.hold << bits) | u64::from(byte);
            self.held += bits;
            self.stuffed = byte == 0xFF;
            self.at += 1;
        }
        self.held -= count;
        let value = self.hold >> self.held;
        self.hold &= (1 << self.held) - 1;
        Ok(value as u32)
    }
}
