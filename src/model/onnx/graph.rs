//! Builds a graph node by node.

use burn::tensor::Tensor;

use super::OnnxError;
use super::proto::{
    AttributeProto, DimensionProto, GraphProto, NodeProto, TensorProto, TensorShapeProto,
    TensorTypeProto, TypeProto, ValueInfoProto,
};

/// Single precision, among ONNX's types of elements.
const FLOAT: i32 = 1;

/// A setting of an operation.
pub fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto { name: name.to_owned(), i: value, r#type: 2, ..AttributeProto::default() }
}

/// A setting of an operation.
pub fn ints(name: &str, values: &[i64]) -> AttributeProto {
    let ints = values.to_vec();
    AttributeProto { name: name.to_owned(), ints, r#type: 7, ..AttributeProto::default() }
}

/// A setting of an operation.
pub fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto { name: name.to_owned(), f: value, r#type: 1, ..AttributeProto::default() }
}

/// An input or output of these lengths for each film.
pub fn value(name: &str, lengths: &[usize]) -> ValueInfoProto {
    let batch = DimensionProto { dim_param: "n".to_owned(), ..DimensionProto::default() };
    let others = lengths
        .iter()
        .map(|length| DimensionProto { dim_value: *length as i64, ..DimensionProto::default() });
    let shape = TensorShapeProto { dim: std::iter::once(batch).chain(others).collect() };
    let tensor = TensorTypeProto { elem_type: FLOAT, shape: Some(Box::new(shape)) };
    let tensor_type = Some(Box::new(tensor));
    ValueInfoProto { name: name.to_owned(), r#type: Some(Box::new(TypeProto { tensor_type })) }
}

/// A graph that grows.
#[derive(Debug, Default)]
pub struct Graph {
    nodes: Vec<NodeProto>,
    initializers: Vec<TensorProto>,
}

impl Graph {
    /// Adds an operation, whose name is also its output's, and returns that name.
    pub fn node(
        &mut self,
        operation: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<AttributeProto>,
    ) -> String {
        self.nodes.push(NodeProto {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![name.to_owned()],
            name: name.to_owned(),
            op_type: operation.to_owned(),
            attribute: attributes,
        });
        name.to_owned()
    }

    /// Adds a split into two halves along the channels and returns their names.
    pub fn halves(&mut self, name: &str, input: &str) -> [String; 2] {
        let outputs = [format!("{name}.0"), format!("{name}.1")];
        self.nodes.push(NodeProto {
            input: vec![input.to_owned()],
            output: outputs.to_vec(),
            name: name.to_owned(),
            op_type: "Split".to_owned(),
            attribute: vec![int("axis", 1)],
        });
        outputs
    }

    /// Adds a weight and returns its name.
    pub fn weight<const D: usize>(
        &mut self,
        name: &str,
        tensor: Tensor<D>,
    ) -> Result<String, OnnxError> {
        let dims = tensor.dims();
        let values: Vec<f32> = tensor
            .try_into_data()
            .map_err(|error| OnnxError::Device(error.to_string()))?
            .try_into_vec()
            .map_err(|error| OnnxError::Device(format!("{error:?}")))?;
        self.constant(name, &dims, &values);
        Ok(name.to_owned())
    }

    /// Adds known values.
    pub fn constant(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        self.initializers.push(TensorProto {
            dims: shape.iter().map(|length| *length as i64).collect(),
            data_type: FLOAT,
            name: name.to_owned(),
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
        });
    }

    /// Closes the graph.
    pub fn finish(self, name: &str, input: ValueInfoProto, output: ValueInfoProto) -> GraphProto {
        GraphProto {
            node: self.nodes,
            name: name.to_owned(),
            initializer: self.initializers,
            input: vec![input],
            output: vec![output],
        }
    }
}
