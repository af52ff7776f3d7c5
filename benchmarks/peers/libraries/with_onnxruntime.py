"""ONNX Runtime: the network as a graph of Gemm and Relu, with all optimizations on."""

import os

import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OPSET, IR_VERSION = 17, 8  # old enough for any current runtime


def _model(problem):
    nodes, constants, name = [], [], "x"
    for i, arrays in enumerate(problem.weights):
        names = [f"weights_{i}", f"bias_{i}"]
        constants += map(numpy_helper.from_array, arrays, names)
        nodes.append(helper.make_node("Gemm", [name, *names], [f"dense_{i}"]))
        name = f"dense_{i}"
        if i < len(problem.weights) - 1:
            operation = problem.task.activation.capitalize()
            nodes.append(helper.make_node(operation, [name], [f"hidden_{i}"]))
            name = f"hidden_{i}"
    rows, sizes = problem.task.batch_size, problem.task.sizes
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, (rows, sizes[0]))
    y = helper.make_tensor_value_info(name, TensorProto.FLOAT, (rows, sizes[-1]))
    graph = helper.make_graph(nodes, "network", [x], [y], constants)
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


def inference(problem):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = onnxruntime.InferenceSession(
        _model(problem).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    outputs = [output.name for output in session.get_outputs()]
    return lambda: session.run(outputs, {"x": problem.x})[0]
