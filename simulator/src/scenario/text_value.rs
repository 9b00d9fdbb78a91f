//! Values written as text with their unit: one macro gives each of them strict parsing, a canonical rendering
//! and an editor schema.

/// Implements serde and schemars for a type with `FromStr<Err = String>` and `Display`. An error text is
/// `message` or `message NEWLINE help`.
macro_rules! text_value {
    ($type:ident, $expecting:literal, $pattern:literal) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $type;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expecting)
                    }
                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<$type, E> {
                        let help = concat!("write ", $expecting);
                        Err(E::custom(format!("the number {number} has no unit\n{help}")))
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern, "description": $expecting })
            }
        }
    };
}

pub(super) use text_value;

/// Splits a text such as `250ms` into its whole number and its unit.
fn number_and_unit<'a>(text: &'a str, help: &str) -> Result<(u64, &'a str), String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(format!("`{text}` does not begin with a whole number\n{help}"));
    }
    if unit.starts_with(['.', ',']) && !unit.starts_with("..") {
        return Err(format!(
            "`{text}` is not a whole number\nuse a smaller unit instead of a fraction; {help}"
        ));
    }
    let number = number.parse().map_err(|_| format!("`{text}` is too large\n{help}"))?;
    Ok((number, unit))
}

/// Reads a whole number with one of these units. `of` is what the units are of, `beyond` what a text above `max` is.
pub(super) fn with_unit(
    text: &str,
    (units, max): (&[(&str, u64)], u64),
    (of, beyond, help): (&str, &str, &str),
) -> Result<u64, String> {
    let (number, unit) = number_and_unit(text, help)?;
    let Some((_, scale)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(match unit {
            "" => format!("`{text}` has no unit\n{help}"),
            _ => format!("`{unit}` is not a unit of {of}\n{help}"),
        });
    };
    let value = number.checked_mul(*scale).filter(|&value| value <= max);
    value.ok_or_else(|| format!("`{text}` is {beyond}\n{help}"))
}

/// The largest of these units in which a value is a whole number; 0 is written in the unit at `zero`.
pub(super) fn unit_of<'a>(value: u64, units: &[(&'a str, u64)], zero: usize) -> (&'a str, u64) {
    let fits = |&(_, scale): &(&str, u64)| value > 0 && value.is_multiple_of(scale);
    units.iter().copied().rev().find(fits).unwrap_or(units[zero])
}

/// Splits `a..b` into its ends; a single value is both ends.
pub(super) fn ends(text: &str) -> (&str, &str) {
    text.split_once("..").unwrap_or((text, text))
}
