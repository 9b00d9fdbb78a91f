use maud::{Markup, html};

use super::Gate;

pub(crate) fn render(_gate: &Gate) -> Markup {
    html! {}
}
