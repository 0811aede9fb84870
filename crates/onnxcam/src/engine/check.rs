//! What both engines check before they run: names, kinds and shapes, with the same words.

use ndarray::ArrayD;

use super::error::EngineError;
use super::value::{Kind, Value};

/// An input or output as the model declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Float or integer; `None` for a type that a [`Value`] cannot hold.
    pub kind: Option<Kind>,
    /// Sizes, `None` where any will do; `None` as a whole where not even the rank is declared.
    pub shape: Option<Vec<Option<usize>>>,
}

impl Port {
    fn accepts(&self, shape: &[usize]) -> bool {
        self.shape.as_ref().is_none_or(|declared| {
            declared.len() == shape.len() && declared.iter().zip(shape).all(|(d, s)| d.is_none_or(|d| d == *s))
        })
    }

    fn shape_in_words(&self) -> String {
        let dims = self.shape.iter().flatten().map(|d| d.map_or("?".into(), |d| d.to_string()));
        format!("[{}]", dims.collect::<Vec<_>>().join(", "))
    }
}

/// Every input given once, and as declared. Returns the values in the order of `ports`.
pub(super) fn inputs<'v>(ports: &[Port], given: &[(&str, &'v Value)]) -> Result<Vec<&'v Value>, EngineError> {
    if let Some((name, _)) = given.iter().find(|(name, _)| ports.iter().all(|p| p.name != *name)) {
        return Err(EngineError::UnknownInput { name: (*name).to_owned(), known: names(ports) });
    }
    ports.iter().map(|port| input(port, given)).collect()
}

fn input<'v>(port: &Port, given: &[(&str, &'v Value)]) -> Result<&'v Value, EngineError> {
    let name = || port.name.clone();
    let mut values = given.iter().filter(|(n, _)| *n == port.name).map(|(_, v)| *v);
    let (Some(value), None) = (values.next(), values.next()) else {
        let times = given.iter().filter(|(n, _)| *n == port.name).count();
        return Err(EngineError::InputCount { name: name(), times });
    };
    if let Some(expected) = port.kind.filter(|k| *k != value.kind()) {
        return Err(EngineError::InputKind { name: name(), expected, given: value.kind() });
    }
    if !port.accepts(value.shape()) {
        let given = value.shape().to_vec();
        return Err(EngineError::InputShape { name: name(), expected: port.shape_in_words(), given });
    }
    Ok(value)
}

/// Outputs asked for, each once, and the way back to what was asked.
pub(super) struct Wanted {
    /// Places in `ports`, without repetition.
    pub places: Vec<usize>,
    /// For each output asked for, where in `places` it is.
    order: Vec<usize>,
}

impl Wanted {
    /// Finds the outputs by name. Engines refuse to be asked for one twice, so repetitions are remembered here.
    pub(super) fn new(ports: &[Port], asked: &[&str]) -> Result<Self, EngineError> {
        let mut wanted = Self { places: Vec::new(), order: Vec::with_capacity(asked.len()) };
        for name in asked {
            let place = ports
                .iter()
                .position(|p| p.name == *name)
                .ok_or_else(|| EngineError::UnknownOutput { name: (*name).to_owned(), known: names(ports) })?;
            let known = wanted.places.iter().position(|p| *p == place);
            wanted.order.push(known.unwrap_or(wanted.places.len()));
            if known.is_none() {
                wanted.places.push(place);
            }
        }
        Ok(wanted)
    }

    /// From one value per place to one per output asked for.
    pub(super) fn restore(&self, values: Vec<Value>) -> Vec<Value> {
        if self.order.len() == values.len() { values } else { self.order.iter().map(|i| values[*i].clone()).collect() }
    }
}

/// Copies an engine's result out. Rust ends the process when memory runs out; a model may not bring that about.
pub(super) fn array<T: Copy, U>(
    name: &str,
    shape: Vec<usize>,
    data: &[T],
    convert: impl Fn(T) -> U,
) -> Result<ArrayD<U>, EngineError> {
    let mut copy = Vec::new();
    if copy.try_reserve_exact(data.len()).is_err() {
        return Err(EngineError::TooLarge { name: name.to_owned(), shape });
    }
    copy.extend(data.iter().map(|x| convert(*x)));
    Ok(ArrayD::from_shape_vec(shape, copy).expect("as many elements as the shape says"))
}

fn names(ports: &[Port]) -> Vec<String> {
    ports.iter().map(|p| p.name.clone()).collect()
}
