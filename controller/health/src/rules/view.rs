//! JSON as CEL values, without a copy: maps and lists are looked into where an expression does, and every look is paid for.

use super::fuel::Fuel;
use cel::ExecutionError;
use cel::common::traits::{Container, Indexer, Iterable, Iterator, Sizer};
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelNull, CelString, CelUInt, Kind, LIST_TYPE, MAP_TYPE, Type,
};
use cel::common::value::{CowVal, Val};
use serde_json::Value;
use std::sync::OnceLock;

/// A JSON value as CEL has it.
pub(crate) fn view<'a>(value: &'a Value, fuel: &'a Fuel) -> Box<dyn Val + 'a> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(b) => Box::new(CelBool::from(*b)),
        Value::Number(n) => match (n.as_i64(), n.as_u64()) {
            (Some(i), _) => Box::new(CelInt::from(i)),
            (None, Some(u)) => Box::new(CelUInt::from(u)),
            _ => Box::new(CelDouble::from(n.as_f64().unwrap_or(f64::NAN))),
        },
        Value::String(s) => string(s, fuel),
        Value::Array(_) | Value::Object(_) => Box::new(Node {
            value,
            fuel,
            items: OnceLock::new(),
        }),
    }
}

/// A text that costs more than what is left is not read.
fn string<'a>(text: &'a str, fuel: &Fuel) -> Box<dyn Val + 'a> {
    Box::new(CelString::from(if fuel.text(text.len()) { text } else { "" }))
}

/// A list or a map.
#[derive(Debug)]
struct Node<'a> {
    value: &'a Value,
    fuel: &'a Fuel,
    /// The elements of a list, or the keys of a map, once somebody iterates.
    items: OnceLock<Vec<Box<dyn Val + 'a>>>,
}

impl<'a> Node<'a> {
    fn len(&self) -> usize {
        match self.value {
            Value::Array(list) => list.len(),
            Value::Object(map) => map.len(),
            _ => 0,
        }
    }

    fn items(&self) -> &[Box<dyn Val + 'a>] {
        self.items.get_or_init(|| {
            if !self.fuel.list(self.len()) {
                return Vec::new();
            }
            match self.value {
                Value::Array(list) => list.iter().map(|v| view(v, self.fuel)).collect(),
                Value::Object(map) => map.keys().map(|key| string(key, self.fuel)).collect(),
                _ => Vec::new(),
            }
        })
    }

    fn find(&self, index: &dyn Val) -> Option<&'a Value> {
        if !self.fuel.spend(1) {
            return None;
        }
        match self.value {
            Value::Array(list) => {
                let index = index.downcast_ref::<CelInt>()?.inner();
                list.get(usize::try_from(*index).ok()?)
            }
            Value::Object(map) => map.get(index.downcast_ref::<CelString<'_>>()?.inner()),
            _ => None,
        }
    }
}

impl Val for Node<'_> {
    fn get_type(&self) -> &Type {
        if self.value.is_array() {
            &LIST_TYPE
        } else {
            &MAP_TYPE
        }
    }

    /// Only asked where overloads are declared for this very type, which nobody does.
    fn cel_type() -> &'static Type {
        &MAP_TYPE
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_iterable<'b, 'v>(&'b self) -> Option<&'b (dyn Iterable + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    /// By structure, because the other may be CEL's own list or map, which knows nothing of this one.
    fn equals(&self, other: &dyn Val) -> bool {
        let (Some(size), Some(indexer), Some(iterable)) =
            (other.as_sizer(), other.as_indexer(), other.as_iterable())
        else {
            return false;
        };
        if i64::try_from(self.len()).ok() != Some(*size.size().inner()) || !self.fuel.spend(1) {
            return false;
        }
        match (self.value, other.get_type().kind()) {
            (Value::Array(_), Kind::List) => {
                let mut others = iterable.iter();
                self.items()
                    .iter()
                    .all(|item| self.fuel.spend(1) && others.next().is_some_and(|o| item.equals(o)))
            }
            (Value::Object(map), Kind::Map) => map.iter().all(|(key, value)| {
                let key = CelString::from(key.as_str());
                self.fuel.spend(1)
                    && indexer
                        .get(&key)
                        .is_ok_and(|o| view(value, self.fuel).equals(o.as_ref()))
            }),
            _ => false,
        }
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(Node {
            value: self.value,
            fuel: self.fuel,
            items: OnceLock::new(),
        })
    }
}

impl Container for Node<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        Ok(match self.value {
            Value::Array(_) => self
                .items()
                .iter()
                .any(|item| self.fuel.spend(1) && item.equals(value)),
            _ => self.find(value).is_some(),
        })
    }
}

impl Indexer for Node<'_> {
    fn get<'b, 'v>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        match self.find(index) {
            Some(value) => Ok(CowVal::Owned(view(value, self.fuel))),
            // What is missing is not named: an error is only ever counted as false.
            None => Err(ExecutionError::no_such_key("")),
        }
    }

    fn steal<'v>(self: Box<Self>, index: &dyn Val) -> Result<Box<dyn Val + 'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.find(index)
            .map(|value| view(value, self.fuel))
            .ok_or_else(|| ExecutionError::no_such_key(""))
    }
}

impl Iterable for Node<'_> {
    fn iter<'b, 'v>(&'b self) -> Box<dyn Iterator<'b, 'v> + 'b>
    where
        Self: 'v,
    {
        Box::new(Turns {
            items: self.items().iter(),
            fuel: self.fuel,
        })
    }
}

impl Sizer for Node<'_> {
    fn size(&self) -> CelInt {
        CelInt::from(i64::try_from(self.len()).unwrap_or(i64::MAX))
    }
}

/// The turns of a loop, until the fuel is spent.
struct Turns<'b, 'a> {
    items: std::slice::Iter<'b, Box<dyn Val + 'a>>,
    fuel: &'b Fuel,
}

impl<'b, 'v, 'a: 'v> Iterator<'b, 'v> for Turns<'b, 'a> {
    fn next(&mut self) -> Option<&'b (dyn Val + 'v)> {
        let item = self.items.next()?;
        self.fuel.turn().then(|| item.as_ref() as &'b (dyn Val + 'v))
    }
}
