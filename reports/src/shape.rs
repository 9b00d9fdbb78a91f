//! Marks that can be told apart without colour.

/// The outline of a mark. Whether it is filled is up to the style sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Disc,
    Square,
    Diamond,
    TriangleUp,
    TriangleRight,
    Cross,
    Bar,
}

impl Shape {
    /// SVG path data of the shape around (`x`, `y`), about `r` in radius.
    pub(crate) fn path(self, x: f64, y: f64, r: f64) -> String {
        let d = 2.0 * r;
        match self {
            Shape::Disc => {
                format!("M{:.1} {y:.1}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0z", x - r)
            }
            Shape::Square => {
                let (r, d) = (r * 0.9, d * 0.9);
                format!("M{:.1} {:.1}h{d:.1}v{d:.1}h-{d:.1}z", x - r, y - r)
            }
            Shape::Diamond => {
                polygon(&[(x, y - r * 1.2), (x + r * 1.2, y), (x, y + r * 1.2), (x - r * 1.2, y)])
            }
            Shape::TriangleUp => {
                polygon(&[(x, y - r * 1.1), (x + r * 1.1, y + r * 0.9), (x - r * 1.1, y + r * 0.9)])
            }
            Shape::TriangleRight => {
                polygon(&[(x - r * 0.8, y - r * 1.1), (x + r * 1.2, y), (x - r * 0.8, y + r * 1.1)])
            }
            Shape::Cross => {
                let (left, top) = (x - r * 0.8, y - r * 0.8);
                let d = d * 0.8;
                format!("M{left:.1} {top:.1}l{d:.1} {d:.1}m0 -{d:.1}l-{d:.1} {d:.1}")
            }
            Shape::Bar => format!("M{x:.1} {:.1}v{:.1}", y - r * 0.8, d * 0.8),
        }
    }
}

fn polygon(corners: &[(f64, f64)]) -> String {
    let corners: Vec<String> = corners.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
    format!("M{}z", corners.join("L"))
}
