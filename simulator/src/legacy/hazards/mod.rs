//! What went wrong in the old parts, one switch each.
//!
//! A model asks [`Hazards::has`] at the place where the old code went wrong. All switches on is what was recorded, all
//! off is what was intended.

mod golden_path;
mod message_router;
mod routers_other;
mod tool_dispatch;

use std::fmt;

/// A defect of the old parts. The names are those of reports and recordings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hazard {
    /// `H1`.
    H1,
    /// `H2`.
    H2,
    /// `H3`.
    H3,
    /// `H4`.
    H4,
    /// `H5`.
    H5,
    /// `H6`.
    H6,
    /// `H7`.
    H7,
    /// `H8`.
    H8,
    /// `H9`.
    H9,
    /// `H10`.
    H10,
    /// `H11`.
    H11,
    /// `H12`.
    H12,
    /// `H13`.
    H13,
    /// `H14`.
    H14,
    /// `H15`.
    H15,
    /// `H16`.
    H16,
    /// `H17`.
    H17,
    /// `H18`.
    H18,
    /// `H19`.
    H19,
    /// `H20`.
    H20,
    /// `H21`.
    H21,
    /// `H22`.
    H22,
    /// `H23`.
    H23,
    /// `H24`.
    H24,
    /// `H25`.
    H25,
    /// `H26`.
    H26,
    /// `H27`.
    H27,
    /// `H28`.
    H28,
    /// `H29`.
    H29,
    /// `H30`.
    H30,
    /// `C1`.
    C1,
    /// `C2`.
    C2,
    /// `C3`.
    C3,
    /// `Q1`.
    Q1,
    /// `Q2`.
    Q2,
    /// `Q3`.
    Q3,
    /// `Q4`.
    Q4,
    /// `Q5`.
    Q5,
    /// `Q7`.
    Q7,
    /// `Q8`.
    Q8,
    /// `Q9`.
    Q9,
    /// `Q10`.
    Q10,
    /// `E1`.
    E1,
    /// `E2`.
    E2,
    /// `E3`.
    E3,
    /// `E4`.
    E4,
    /// `E5`.
    E5,
    /// `E6`.
    E6,
    /// `E7`.
    E7,
    /// `E8`.
    E8,
    /// `E9`.
    E9,
    /// `E10`.
    E10,
    /// `S1`.
    S1,
    /// `S2`.
    S2,
    /// `S3`.
    S3,
    /// `S4`.
    S4,
    /// `S5`.
    S5,
    /// `S6`.
    S6,
    /// `S7`.
    S7,
    /// `B1`.
    B1,
    /// `B2`.
    B2,
    /// `B3`.
    B3,
    /// `B4`.
    B4,
    /// `B5`.
    B5,
    /// `B6`.
    B6,
    /// `M1`.
    M1,
    /// `M2`.
    M2,
    /// `M3`.
    M3,
    /// `M4`.
    M4,
    /// `M5`.
    M5,
    /// `M6`.
    M6,
    /// `M7`.
    M7,
    /// `M8`.
    M8,
    /// `M9`.
    M9,
    /// `M10`.
    M10,
    /// `M11`.
    M11,
    /// `G0`.
    G0,
    /// `G1`.
    G1,
    /// `G2`.
    G2,
    /// `G3`.
    G3,
    /// `G4`.
    G4,
    /// `G5`.
    G5,
    /// `G6`.
    G6,
    /// `G7`.
    G7,
    /// `G8`.
    G8,
    /// `G9`.
    G9,
    /// `G10`.
    G10,
    /// `G11`.
    G11,
    /// `G12`.
    G12,
    /// `G13`.
    G13,
    /// `G14`.
    G14,
    /// `G15`.
    G15,
    /// `G16`.
    G16,
    /// `G17`.
    G17,
    /// `G18`.
    G18,
    /// `G19`.
    G19,
    /// `G20`.
    G20,
    /// `G21`.
    G21,
    /// `G22`.
    G22,
    /// `G23`.
    G23,
    /// `G24`.
    G24,
    /// `G25`.
    G25,
    /// `G26`.
    G26,
    /// `G27`.
    G27,
    /// `G28`.
    G28,
    /// `G29`.
    G29,
    /// `G30`.
    G30,
    /// `G31`.
    G31,
    /// `G32`.
    G32,
    /// `T1`.
    T1,
    /// `T2`.
    T2,
    /// `T3`.
    T3,
    /// `T4`.
    T4,
    /// `T5`.
    T5,
    /// `T6`.
    T6,
    /// `T7`.
    T7,
    /// `T8`.
    T8,
    /// `T9`.
    T9,
    /// `T10`.
    T10,
    /// `T11`.
    T11,
    /// `T12`.
    T12,
    /// `T13`.
    T13,
    /// `T14`.
    T14,
    /// `T15`.
    T15,
    /// `T16`.
    T16,
    /// `T17`.
    T17,
    /// `T18`.
    T18,
    /// `T19`.
    T19,
    /// `T20`.
    T20,
    /// `T21`.
    T21,
    /// `T22`.
    T22,
    /// `T23`.
    T23,
    /// `T24`.
    T24,
    /// `T25`.
    T25,
    /// `T26`.
    T26,
    /// `T27`.
    T27,
}

/// What is known of a hazard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Which.
    pub hazard: Hazard,
    /// The old part it sits in.
    pub unit: &'static str,
    /// What a user or an operator meets, in one line.
    pub about: &'static str,
    /// Whether something of one user reaches another.
    pub crosses_users: bool,
}

impl Row {
    const fn within(hazard: Hazard, unit: &'static str, about: &'static str) -> Self {
        Self { hazard, unit, about, crosses_users: false }
    }

    const fn crossing(hazard: Hazard, unit: &'static str, about: &'static str) -> Self {
        Self { hazard, unit, about, crosses_users: true }
    }
}

/// A group of old parts whose defects were catalogued together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Catalogue {
    /// The primary message router and its endpoint.
    MessageRouter,
    /// The other routers, the broadcast paths and the connection manager.
    RoutersOther,
    /// The emitter, the bridge, and the way of a run's events.
    GoldenPath,
    /// The tool dispatchers and the engine behind them.
    ToolDispatch,
}

impl Catalogue {
    /// All of them.
    pub const ALL: [Catalogue; 4] =
        [Catalogue::MessageRouter, Catalogue::RoutersOther, Catalogue::GoldenPath, Catalogue::ToolDispatch];

    /// The name in reports and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Catalogue::MessageRouter => "message_router",
            Catalogue::RoutersOther => "routers_other",
            Catalogue::GoldenPath => "golden_path",
            Catalogue::ToolDispatch => "tool_dispatch",
        }
    }

    /// Its hazards.
    pub const fn rows(self) -> &'static [Row] {
        match self {
            Catalogue::MessageRouter => message_router::ROWS,
            Catalogue::RoutersOther => routers_other::ROWS,
            Catalogue::GoldenPath => golden_path::ROWS,
            Catalogue::ToolDispatch => tool_dispatch::ROWS,
        }
    }
}

impl Hazard {
    /// All hazards with what is known of them, catalogue by catalogue.
    pub fn rows() -> impl Iterator<Item = (Catalogue, &'static Row)> {
        let of = |catalogue: Catalogue| catalogue.rows().iter().map(move |row| (catalogue, row));
        Catalogue::ALL.into_iter().flat_map(of)
    }

    /// What is known of it.
    pub fn row(self) -> (Catalogue, &'static Row) {
        Self::rows().find(|(_, row)| row.hazard == self).expect("a test finds each hazard in one catalogue")
    }

    /// The short name, `H1`.
    pub fn id(self) -> String {
        format!("{self:?}")
    }

    /// The hazard of a name, with or without its unit: `E5`, `event_router.E5`.
    pub fn named(name: &str) -> Option<Self> {
        let (unit, id) = name.rsplit_once('.').map_or((None, name), |(unit, id)| (Some(unit), id));
        let fits =
            |row: &Row| unit.is_none_or(|unit| unit == row.unit) && row.hazard.id().eq_ignore_ascii_case(id);
        Self::rows().find(|(_, row)| fits(row)).map(|(_, row)| row.hazard)
    }

    const fn bit(self) -> (usize, u64) {
        let index = self as usize;
        (index / 64, 1 << (index % 64))
    }
}

impl fmt::Display for Hazard {
    /// With the unit: `event_router.E5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{self:?}", self.row().1.unit)
    }
}

/// A set of hazards: the switches that are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hazards([u64; 3]);

impl Hazards {
    /// All off: what was intended.
    pub const NONE: Hazards = Hazards([0; 3]);
    /// All on: what was recorded.
    pub const ALL: Hazards = Hazards([u64::MAX; 3]);

    /// These only.
    pub fn of(hazards: impl IntoIterator<Item = Hazard>) -> Self {
        hazards.into_iter().fold(Self::NONE, Self::with)
    }

    /// This one, too.
    #[must_use]
    pub const fn with(mut self, hazard: Hazard) -> Self {
        let (word, bit) = hazard.bit();
        self.0[word] |= bit;
        self
    }

    /// All but this one.
    #[must_use]
    pub const fn without(mut self, hazard: Hazard) -> Self {
        let (word, bit) = hazard.bit();
        self.0[word] &= !bit;
        self
    }

    /// Whether its switch is on.
    pub const fn has(self, hazard: Hazard) -> bool {
        let (word, bit) = hazard.bit();
        self.0[word] & bit != 0
    }

    /// Those that are on.
    pub fn iter(self) -> impl Iterator<Item = Hazard> {
        Hazard::rows().map(|(_, row)| row.hazard).filter(move |hazard| self.has(*hazard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hazard_stands_in_one_catalogue_and_has_a_bit_of_its_own() {
        let rows: Vec<&Row> = Hazard::rows().map(|(_, row)| row).collect();
        for (n, row) in rows.iter().enumerate() {
            assert_eq!(row.hazard as usize, n, "the catalogues are in the order of the enumeration");
            assert_eq!(Hazards::of([row.hazard]).iter().collect::<Vec<_>>(), [row.hazard]);
            assert_eq!(Hazard::named(&row.hazard.to_string()), Some(row.hazard));
            assert_eq!(Hazard::named(&row.hazard.id()), Some(row.hazard));
        }
        assert_eq!(Hazards::ALL.iter().count(), rows.len());
        assert_eq!(Hazards::ALL.without(Hazard::H1).iter().count(), rows.len() - 1);
        assert!(rows.len() <= 192);
    }
}
