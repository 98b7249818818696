//! The part of Python's pickle format (`pickletools`, protocols 2 to 5) that state dicts are written in.
//!
//! Nothing is ever called: names of functions stay names, and only those that build tensors and ordered dictionaries
//! are understood.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use burn::tensor::DType;

/// What a pickle can hold here. Containers are shared, as in Python, because they are filled after they were stored.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing that matters here.
    Nothing,
    Int(i64),
    Text(Rc<str>),
    /// Tuple or list.
    Sequence(Rc<RefCell<Vec<Value>>>),
    Dict(Rc<RefCell<Vec<(Value, Value)>>>),
    /// A class or function, as `module.name`.
    Global(Rc<str>),
    /// Numbers in a member of the archive: their type if it is floating-point, and the member.
    Storage(Option<DType>, Rc<str>),
    Tensor(Rc<Tensor>),
    /// Something of this class.
    Object(Rc<str>),
    /// Where a container's items begin on the stack.
    Mark,
}

/// A view of a storage.
#[derive(Clone, Debug)]
pub struct Tensor {
    /// Type of the values; none if they are not floating-point.
    pub dtype: Option<DType>,
    /// Member of the archive under `data/`.
    pub key: String,
    /// First value.
    pub offset: usize,
    /// Lengths of the dimensions.
    pub shape: Vec<usize>,
    /// Values from one index of a dimension to the next.
    pub strides: Vec<usize>,
}

impl Value {
    /// Whether this is the text.
    pub fn is_text(&self, text: &str) -> bool {
        matches!(self, Self::Text(own) if &**own == text)
    }

    fn sequence(items: Vec<Self>) -> Self {
        Self::Sequence(Rc::new(RefCell::new(items)))
    }

    fn dict() -> Self {
        Self::Dict(Rc::default())
    }

    fn items(&self) -> Vec<Self> {
        match self {
            Self::Sequence(items) => items.borrow().clone(),
            _ => Vec::new(),
        }
    }

    fn lengths(&self) -> Option<Vec<usize>> {
        let length = |value: &Self| match value {
            Self::Int(int) => usize::try_from(*int).ok(),
            _ => None,
        };
        self.items().iter().map(length).collect()
    }
}

/// Reads a pickle's value.
///
/// # Errors
/// Fails, in words, if it is damaged or uses what no state dict does.
pub fn read(bytes: &[u8]) -> Result<Value, String> {
    let mut machine = Machine { bytes, stack: Vec::new(), memo: HashMap::new() };
    loop {
        let opcode = machine.take(1)?[0];
        if opcode == b'.' {
            return machine.pop();
        }
        machine.step(opcode)?;
    }
}

/// Pickle's stack machine.
struct Machine<'a> {
    bytes: &'a [u8],
    stack: Vec<Value>,
    memo: HashMap<u32, Value>,
}

impl<'a> Machine<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or("its pickle is cut off")?;
        self.bytes = rest;
        Ok(taken)
    }

    /// An unsigned little-endian number of so many bytes.
    fn number(&mut self, count: usize) -> Result<u64, String> {
        Ok(self.take(count)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn text(&mut self, length: usize) -> Result<Value, String> {
        let length = self.number(length)?;
        let bytes = self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        Ok(Value::Text(String::from_utf8_lossy(bytes).into()))
    }

    fn line(&mut self) -> Result<String, String> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n');
        let line = self.take(end.ok_or("its pickle is cut off")?)?;
        self.take(1)?;
        Ok(String::from_utf8_lossy(line).into_owned())
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().ok_or_else(|| "its pickle is damaged".to_owned())
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.stack.iter().rposition(|value| matches!(value, Value::Mark));
        let mark = mark.ok_or("its pickle is damaged")?;
        let items = self.stack.split_off(mark + 1);
        self.stack.pop();
        Ok(items)
    }

    fn pop_items(&mut self, count: usize) -> Result<Value, String> {
        let start = self.stack.len().checked_sub(count).ok_or("its pickle is damaged")?;
        Ok(Value::sequence(self.stack.split_off(start)))
    }

    fn step(&mut self, opcode: u8) -> Result<(), String> {
        let value = match opcode {
            // Protocol and frame say nothing that matters.
            0x80 => return self.take(1).map(|_| ()),
            0x95 => return self.take(8).map(|_| ()),
            b'(' => Value::Mark,
            b'N' | 0x88 | 0x89 => Value::Nothing,
            b'G' => self.take(8).map(|_| Value::Nothing)?,
            b'K' => Value::Int(self.number(1)? as i64),
            b'M' => Value::Int(self.number(2)? as i64),
            b'J' => Value::Int(i64::from(self.number(4)? as u32 as i32)),
            0x8a => {
                let length = self.number(1)? as usize;
                Value::Int(signed(self.take(length)?))
            }
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            0x8d => self.text(8)?,
            b'}' => Value::dict(),
            b']' | b')' => Value::sequence(Vec::new()),
            b't' | b'l' => Value::sequence(self.pop_to_mark()?),
            0x85..=0x87 => self.pop_items(usize::from(opcode - 0x84))?,
            b'c' => Value::Global(format!("{}.{}", self.line()?, self.line()?).into()),
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (module, name) {
                    (Value::Text(module), Value::Text(name)) => {
                        Value::Global(format!("{module}.{name}").into())
                    }
                    _ => return Err("its pickle is damaged".to_owned()),
                }
            }
            b'Q' => storage(&self.pop()?)?,
            b'R' | 0x81 => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                call(&function, &arguments)?
            }
            _ => return self.change(opcode),
        };
        self.stack.push(value);
        Ok(())
    }

    /// Operations on what is on the stack already.
    fn change(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            b'q' | b'r' | 0x94 => {
                let place = match opcode {
                    b'q' => self.number(1)? as u32,
                    b'r' => self.number(4)? as u32,
                    _ => self.memo.len() as u32,
                };
                let top = self.stack.last().cloned().ok_or("its pickle is damaged")?;
                self.memo.insert(place, top);
            }
            b'h' | b'j' => {
                let place = self.number(if opcode == b'h' { 1 } else { 4 })? as u32;
                let value = self.memo.get(&place).cloned().ok_or("its pickle is damaged")?;
                self.stack.push(value);
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.fill(vec![key, value]);
            }
            b'a' => {
                let value = self.pop()?;
                self.fill(vec![value]);
            }
            b'u' | b'e' => {
                let items = self.pop_to_mark()?;
                self.fill(items);
            }
            // Attributes that are set on an object, such as a state dict's versions.
            b'b' => drop(self.pop()?),
            other => {
                return Err(format!(
                    "its pickle holds what no state dict does (opcode {other:#x})"
                ));
            }
        }
        Ok(())
    }

    /// Adds items to the container on top of the stack.
    fn fill(&mut self, items: Vec<Value>) {
        match self.stack.last() {
            Some(Value::Dict(dict)) => {
                let mut items = items.into_iter();
                while let (Some(key), Some(value)) = (items.next(), items.next()) {
                    dict.borrow_mut().push((key, value));
                }
            }
            Some(Value::Sequence(list)) => list.borrow_mut().extend(items),
            _ => {}
        }
    }
}

/// A two's-complement little-endian number; one of more than eight bytes is cut.
fn signed(bytes: &[u8]) -> i64 {
    let negative = bytes.last().is_some_and(|byte| byte & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    i64::from_le_bytes(std::array::from_fn(|i| bytes.get(i).copied().unwrap_or(fill)))
}

/// `("storage", class, member, device, length)`.
fn storage(id: &Value) -> Result<Value, String> {
    let items = id.items();
    let (Some(Value::Global(class)), Some(Value::Text(key))) = (items.get(1), items.get(2)) else {
        return Err("its pickle refers to a storage in a way that is not known".to_owned());
    };
    let dtype = match &**class {
        "torch.DoubleStorage" => Some(DType::F64),
        "torch.FloatStorage" => Some(DType::F32),
        "torch.HalfStorage" => Some(DType::F16),
        "torch.BFloat16Storage" => Some(DType::BF16),
        _ => None,
    };
    Ok(Value::Storage(dtype, Rc::clone(key)))
}

fn call(function: &Value, arguments: &Value) -> Result<Value, String> {
    let Value::Global(name) = function else { return Ok(Value::Nothing) };
    match &**name {
        "collections.OrderedDict" => Ok(Value::dict()),
        "torch._utils._rebuild_tensor_v2" => {
            tensor(&arguments.items()).ok_or_else(|| "its pickle describes no tensor".to_owned())
        }
        "torch._utils._rebuild_parameter" => {
            Ok(arguments.items().into_iter().next().unwrap_or(Value::Nothing))
        }
        _ => Ok(Value::Object(Rc::clone(name))),
    }
}

/// `(storage, offset, shape, strides, …)`.
fn tensor(arguments: &[Value]) -> Option<Value> {
    let [Value::Storage(dtype, key), Value::Int(offset), shape, strides, ..] = arguments else {
        return None;
    };
    let (shape, strides) = (shape.lengths()?, strides.lengths()?);
    let offset = usize::try_from(*offset).ok()?;
    let matching = shape.len() == strides.len();
    let tensor = Tensor { dtype: *dtype, key: key.to_string(), offset, shape, strides };
    matching.then(|| Value::Tensor(Rc::new(tensor)))
}
