#include "graph.h"

#include <algorithm>
#include <set>

namespace tabrl {
namespace {

// Calls `with` with a null pointer to the C++ type of an element type.
template <class With>
auto typed(DataType dtype, With with) {
  switch (dtype) {
    case DataType::kFloat32: return with(static_cast<float*>(nullptr));
    case DataType::kInt32: return with(static_cast<std::int32_t*>(nullptr));
    case DataType::kUint32: return with(static_cast<std::uint32_t*>(nullptr));
    case DataType::kBool: return with(static_cast<bool*>(nullptr));
  }
  throw std::logic_error("unknown element type");
}

Ort::Value value_of(const TensorSpec& tensor, const Values& values, OrtAllocator* allocator) {
  if (values.size() != tensor.size()) {
    throw ControllerError(tensor.name, "has " + std::to_string(values.size()) + " elements, expected " +
                                           std::to_string(tensor.size()));
  }
  return typed(tensor.dtype, [&](auto* type) {
    using Element = std::remove_pointer_t<decltype(type)>;
    auto value = Ort::Value::CreateTensor<Element>(allocator, tensor.shape.data(), tensor.shape.size());
    std::transform(values.begin(), values.end(), value.template GetTensorMutableData<Element>(),
                   [](double number) { return static_cast<Element>(number); });
    return value;
  });
}

Values values_of(const TensorSpec& tensor, const Ort::Value& value) {
  return typed(tensor.dtype, [&](auto* type) {
    using Element = std::remove_pointer_t<decltype(type)>;
    const auto info = value.GetTensorTypeAndShapeInfo();
    if (info.GetElementCount() != tensor.size() || info.GetElementType() != Ort::TypeToTensorType<Element>::type) {
      throw ControllerError(tensor.name, "the graph gives another size or type than the manifest says");
    }
    const auto* data = value.template GetTensorData<Element>();
    return Values(data, data + tensor.size());
  });
}

}  // namespace

Graph::Graph(const std::filesystem::path& file, const Manifest& manifest) {
  for (const GraphInput& entry : manifest.inputs) inputs_.push_back(entry.tensor);
  std::set<std::string> seen;
  for (const GraphOutput& entry : manifest.outputs) {
    if (seen.insert(entry.tensor.name).second) outputs_.push_back(entry.tensor);
  }
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1).SetInterOpNumThreads(1);
  // Bytes that are a graph in two formats are the one that was checked.
  options.AddConfigEntry("session.load_model_format", "ONNX");
  // Weights of 8 bits are multiplied out once, not at every decision.
  options.AddConfigEntry("session.disable_quant_qdq", "1");
  try {
    session_ = Ort::Session(env_, file.c_str(), options);
  } catch (const Ort::Exception& error) {
    throw ControllerError("controller.onnx", std::string("onnxruntime cannot load it: ") + error.what());
  }
  check_names();
}

NamedValues Graph::run(const NamedValues& feed) {
  std::vector<const char*> input_names, output_names;
  std::vector<Ort::Value> given;
  for (const TensorSpec& input : inputs_) {
    input_names.push_back(input.name.c_str());
    given.push_back(value_of(input, feed.at(input.name), allocator_));
  }
  for (const TensorSpec& output : outputs_) output_names.push_back(output.name.c_str());
  const std::vector<Ort::Value> results =
      session_.Run(Ort::RunOptions{}, input_names.data(), given.data(), given.size(), output_names.data(),
                   output_names.size());
  NamedValues outputs;
  for (std::size_t i = 0; i < outputs_.size(); ++i) outputs[outputs_[i].name] = values_of(outputs_[i], results[i]);
  return outputs;
}

void Graph::check_names() const {
  std::vector<std::string> inputs, outputs;
  for (std::size_t i = 0; i < session_.GetInputCount(); ++i) {
    inputs.emplace_back(session_.GetInputNameAllocated(i, allocator_).get());
  }
  for (std::size_t i = 0; i < session_.GetOutputCount(); ++i) {
    outputs.emplace_back(session_.GetOutputNameAllocated(i, allocator_).get());
  }
  const auto check = [](const auto& present, const std::vector<TensorSpec>& listed, const std::string& what) {
    for (const TensorSpec& tensor : listed) {
      if (std::find(present.begin(), present.end(), tensor.name) == present.end()) {
        throw ControllerError(tensor.name, "the manifest lists this " + what + ", the graph does not have it");
      }
    }
  };
  check(inputs, inputs_, "input");
  check(outputs, outputs_, "output");
  // An output more does no harm; an input more would have nothing to read.
  for (const std::string& name : inputs) {
    if (std::none_of(inputs_.begin(), inputs_.end(), [&](const auto& listed) { return listed.name == name; })) {
      throw ControllerError(name, "the graph needs this input, the manifest does not list it");
    }
  }
}

}  // namespace tabrl
