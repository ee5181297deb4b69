//! The data inspector: what the bytes at one place are as numbers and times, in both byte orders.

use jiff::Timestamp;

/// One reading of the bytes at a place. An empty text means that the file ends before, or that it makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// What kind of number, for people.
    pub name: &'static str,
    /// Low byte first.
    pub little: String,
    /// High byte first.
    pub big: String,
}

/// Every reading of the bytes at `at`: integers of 8 to 64 bits, floating point numbers, Unix times. A signed reading
/// stands behind the unsigned one where they differ.
pub fn at(bytes: &[u8], at: usize) -> Vec<Value> {
    let rest = bytes.get(at..).unwrap_or_default();
    macro_rules! integer {
        ($name:literal, $unsigned:ty, $signed:ty) => {
            value($name, rest, |word: [u8; size_of::<$unsigned>()], little| {
                let number = if little { <$unsigned>::from_le_bytes(word) } else { <$unsigned>::from_be_bytes(word) };
                let signed = number as $signed;
                if signed < 0 { format!("{number}  {signed}") } else { number.to_string() }
            })
        };
    }
    vec![
        integer!("8 bit", u8, i8),
        integer!("16 bit", u16, i16),
        integer!("32 bit", u32, i32),
        integer!("64 bit", u64, i64),
        value("float 32", rest, |word: [u8; 4], little| {
            float(f64::from(if little { f32::from_le_bytes(word) } else { f32::from_be_bytes(word) }), 7)
        }),
        value("float 64", rest, |word: [u8; 8], little| {
            float(if little { f64::from_le_bytes(word) } else { f64::from_be_bytes(word) }, 15)
        }),
        value("time 32", rest, |word: [u8; 4], little| {
            time(i64::from(if little { u32::from_le_bytes(word) } else { u32::from_be_bytes(word) }), 0)
        }),
        value("time 64", rest, |word: [u8; 8], little| {
            let number = if little { i64::from_le_bytes(word) } else { i64::from_be_bytes(word) };
            // Seconds reach the year 9999 with 38 bits; what is larger counts milliseconds.
            if number < 1 << 38 { time(number, 0) } else { time(number / 1000, (number % 1000) as i32 * 1_000_000) }
        }),
    ]
}

fn value<const LEN: usize>(name: &'static str, rest: &[u8], read: impl Fn([u8; LEN], bool) -> String) -> Value {
    let word = rest.first_chunk::<LEN>().copied();
    let [little, big] = [true, false].map(|little| word.map(|word| read(word, little)).unwrap_or_default());
    Value { name, little, big }
}

/// `digits` significant ones; very large and very small numbers with an exponent.
fn float(number: f64, digits: usize) -> String {
    let size = number.abs();
    if !number.is_finite() || size == 0.0 || (1e-4..1e9).contains(&size) {
        number.to_string()
    } else {
        format!("{number:.*e}", digits - 1)
    }
}

fn time(seconds: i64, nanoseconds: i32) -> String {
    match Timestamp::new(seconds, nanoseconds) {
        Ok(time) if seconds >= 0 => time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reading(bytes: &[u8], name: &str) -> (String, String) {
        let found = at(bytes, 0).into_iter().find(|value| value.name == name).unwrap();
        (found.little, found.big)
    }

    #[test]
    fn integers_are_read_in_both_orders_and_signed_where_it_matters() {
        let bytes = [0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F];
        assert_eq!(reading(&bytes, "8 bit"), ("254  -2".into(), "254  -2".into()));
        assert_eq!(reading(&bytes, "16 bit"), ("65534  -2".into(), "65279  -257".into()));
        assert_eq!(reading(&bytes, "32 bit"), ("4294967294  -2".into(), "4278190079  -16777217".into()));
        assert_eq!(
            reading(&bytes, "64 bit"),
            ("9223372036854775806".into(), "18374686479671623551  -72057594037928065".into())
        );
    }

    #[test]
    fn floats_and_times_are_read_as_people_write_them() {
        assert_eq!(reading(&1.5f32.to_le_bytes(), "float 32").0, "1.5");
        assert_eq!(reading(&1e30f32.to_be_bytes(), "float 32").1, "1.000000e30");
        assert_eq!(reading(&(-0.25f64).to_le_bytes(), "float 64").0, "-0.25");
        assert_eq!(reading(&f32::NAN.to_le_bytes(), "float 32").0, "NaN");
        assert_eq!(reading(&1_700_000_000u32.to_le_bytes(), "time 32").0, "2023-11-14 22:13:20 UTC");
        assert_eq!(reading(&1_700_000_000u64.to_be_bytes(), "time 64").1, "2023-11-14 22:13:20 UTC");
        assert_eq!(reading(&1_700_000_000_123u64.to_be_bytes(), "time 64").1, "2023-11-14 22:13:20 UTC");
        assert_eq!(reading(&i64::MIN.to_le_bytes(), "time 64").0, "", "no year before 1970 is guessed");
    }

    #[test]
    fn at_the_end_of_the_file_the_longer_ones_are_left_out() {
        let names: Vec<&str> =
            at(&[1, 2, 3], 1).iter().filter(|value| !value.little.is_empty()).map(|value| value.name).collect();
        assert_eq!(names, ["8 bit", "16 bit"]);
        assert!(at(&[1], 9).iter().all(|value| value.little.is_empty() && value.big.is_empty()));
    }

    proptest! {
        #[test]
        fn no_bytes_are_a_fault(bytes in prop::collection::vec(any::<u8>(), 0..12), place in 0usize..14) {
            prop_assert_eq!(at(&bytes, place).len(), 8);
        }
    }
}
