//! The messages of ONNX that an exported network needs (`onnx/onnx.proto`, IR version 8), with their field numbers.

use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};
use prost::{DecodeError, Message};

/// Values that differ from their type's default are written; lists item by item, as ONNX's `proto2` file has them.
trait Field {
    fn put(&self, tag: u32, buffer: &mut impl BufMut);
    fn take(
        &mut self,
        wire: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError>;
    fn length(&self, tag: u32) -> usize;
}

macro_rules! scalar {
    ($type:ty, $module:ident) => {
        impl Field for $type {
            fn put(&self, tag: u32, buffer: &mut impl BufMut) {
                if *self != Self::default() {
                    prost::encoding::$module::encode(tag, self, buffer);
                }
            }
            fn take(
                &mut self,
                wire: WireType,
                buffer: &mut impl Buf,
                context: DecodeContext,
            ) -> Result<(), DecodeError> {
                prost::encoding::$module::merge(wire, self, buffer, context)
            }
            fn length(&self, tag: u32) -> usize {
                if *self == Self::default() {
                    return 0;
                }
                prost::encoding::$module::encoded_len(tag, self)
            }
        }
    };
}

macro_rules! list {
    ($type:ty, $module:ident) => {
        impl Field for Vec<$type> {
            fn put(&self, tag: u32, buffer: &mut impl BufMut) {
                prost::encoding::$module::encode_repeated(tag, self, buffer);
            }
            fn take(
                &mut self,
                wire: WireType,
                buffer: &mut impl Buf,
                context: DecodeContext,
            ) -> Result<(), DecodeError> {
                prost::encoding::$module::merge_repeated(wire, self, buffer, context)
            }
            fn length(&self, tag: u32) -> usize {
                prost::encoding::$module::encoded_len_repeated(tag, self)
            }
        }
    };
}

scalar!(i32, int32);
scalar!(i64, int64);
scalar!(f32, float);
scalar!(String, string);
scalar!(Vec<u8>, bytes);
list!(i64, int64);
list!(String, string);

macro_rules! message {
    ($(#[$doc:meta])* $name:ident { $($tag:literal $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $name {
            $(#[allow(missing_docs, clippy::allow_attributes, reason = "named as in onnx.proto")] pub $field: $type,)*
        }

        impl Message for $name {
            fn encode_raw(&self, buffer: &mut impl BufMut) {
                $(Field::put(&self.$field, $tag, buffer);)*
            }
            fn merge_field(
                &mut self,
                tag: u32,
                wire: WireType,
                buffer: &mut impl Buf,
                context: DecodeContext,
            ) -> Result<(), DecodeError> {
                match tag {
                    $($tag => Field::take(&mut self.$field, wire, buffer, context),)*
                    _ => prost::encoding::skip_field(wire, tag, buffer, context),
                }
            }
            fn encoded_len(&self) -> usize {
                0 $(+ Field::length(&self.$field, $tag))*
            }
            fn clear(&mut self) {
                *self = Self::default();
            }
        }

        list!($name, message);

        impl Field for Option<Box<$name>> {
            fn put(&self, tag: u32, buffer: &mut impl BufMut) {
                if let Some(message) = self {
                    prost::encoding::message::encode(tag, &**message, buffer);
                }
            }
            fn take(
                &mut self,
                wire: WireType,
                buffer: &mut impl Buf,
                context: DecodeContext,
            ) -> Result<(), DecodeError> {
                let message = &mut **self.get_or_insert_default();
                prost::encoding::message::merge(wire, message, buffer, context)
            }
            fn length(&self, tag: u32) -> usize {
                self.as_ref().map_or(0, |message| prost::encoding::message::encoded_len(tag, &**message))
            }
        }
    };
}

message!(
    /// A whole file.
    ModelProto {
        1 ir_version: i64,
        2 producer_name: String,
        3 producer_version: String,
        7 graph: Option<Box<GraphProto>>,
        8 opset_import: Vec<OperatorSetIdProto>,
        14 metadata_props: Vec<StringStringEntryProto>,
    }
);
message!(
    /// A set of operators; the default domain is ONNX's own.
    OperatorSetIdProto {
        1 domain: String,
        2 version: i64,
    }
);
message!(
    /// A note.
    StringStringEntryProto {
        1 key: String,
        2 value: String,
    }
);
message!(
    /// Nodes in the order of computation, weights, inputs and outputs.
    GraphProto {
        1 node: Vec<NodeProto>,
        2 name: String,
        5 initializer: Vec<TensorProto>,
        11 input: Vec<ValueInfoProto>,
        12 output: Vec<ValueInfoProto>,
    }
);
message!(
    /// An operation.
    NodeProto {
        1 input: Vec<String>,
        2 output: Vec<String>,
        3 name: String,
        4 op_type: String,
        5 attribute: Vec<AttributeProto>,
    }
);
message!(
    /// A setting of an operation.
    AttributeProto {
        1 name: String,
        2 f: f32,
        3 i: i64,
        8 ints: Vec<i64>,
        20 r#type: i32,
    }
);
message!(
    /// A weight; of type 1, single precision.
    TensorProto {
        1 dims: Vec<i64>,
        2 data_type: i32,
        8 name: String,
        9 raw_data: Vec<u8>,
    }
);
message!(
    /// An input or output.
    ValueInfoProto {
        1 name: String,
        2 r#type: Option<Box<TypeProto>>,
    }
);
message!(
    /// Its type.
    TypeProto {
        1 tensor_type: Option<Box<TensorTypeProto>>,
    }
);
message!(
    /// Element type and shape; `TypeProto.Tensor`.
    TensorTypeProto {
        1 elem_type: i32,
        2 shape: Option<Box<TensorShapeProto>>,
    }
);
message!(
    /// Lengths of the dimensions.
    TensorShapeProto {
        1 dim: Vec<DimensionProto>,
    }
);
message!(
    /// A length, or the name of one that is free; `TensorShapeProto.Dimension`.
    DimensionProto {
        1 dim_value: i64,
        2 dim_param: String,
    }
);
