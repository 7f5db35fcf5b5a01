// What the globals of a pickle stand for.
#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "sdg/core/error.h"
#include "tensors/pickle_tensors_impl.h"

namespace sdg::tensors {
namespace {

using List = TorchValue::List;
using Dict = TorchValue::Dict;
using Object = TorchValue::Object;
using Unread = TorchValue::Unread;

enum class Kind {
  kDict,
  kList,
  kTensor,
  kTensorTyped,
  kInner,
  kSubclass,
  kMoved,
  kSparse,
  kQuantised,
  kNested,
  kEmpty,
  kReconstructor,
  kNewObject,
  kBytes,
  kEncode,
  kDtype,
  kScalar,
  kArray,
  kArrayFromBuffer
};

const std::map<std::string, Kind, std::less<>>& callables() {
  static const std::map<std::string, Kind, std::less<>> table = {
      {"collections.OrderedDict", Kind::kDict},
      {"collections.defaultdict", Kind::kDict},
      {"collections.Counter", Kind::kDict},
      {"builtins.dict", Kind::kDict},
      {"builtins.list", Kind::kList},
      {"builtins.set", Kind::kList},
      {"builtins.frozenset", Kind::kList},
      {"builtins.tuple", Kind::kList},
      {"collections.deque", Kind::kList},
      {"torch.Size", Kind::kList},
      {"torch._utils._rebuild_tensor", Kind::kTensor},
      {"torch._utils._rebuild_tensor_v2", Kind::kTensor},
      {"torch._utils._rebuild_tensor_v3", Kind::kTensorTyped},
      {"torch._utils._rebuild_parameter", Kind::kInner},
      {"torch._utils._rebuild_parameter_with_state", Kind::kInner},
      {"torch.nn.parameter.Parameter", Kind::kInner},
      {"torch.nn.parameter.Buffer", Kind::kInner},
      {"torch.autograd.variable.Variable", Kind::kInner},
      {"torch._tensor._rebuild_from_type", Kind::kSubclass},
      {"torch._tensor._rebuild_from_type_v2", Kind::kSubclass},
      {"torch.tensor._rebuild_from_type", Kind::kSubclass},
      {"torch._utils._rebuild_device_tensor_from_cpu_tensor", Kind::kMoved},
      {"torch._utils._rebuild_device_tensor_from_numpy", Kind::kMoved},
      {"torch._utils._rebuild_xla_tensor", Kind::kMoved},
      {"torch._utils._rebuild_sparse_tensor", Kind::kSparse},
      {"torch._utils._rebuild_sparse_csr_tensor", Kind::kSparse},
      {"torch._utils._rebuild_qtensor", Kind::kQuantised},
      {"torch._utils._rebuild_nested_tensor", Kind::kNested},
      {"torch._utils._rebuild_meta_tensor_no_storage", Kind::kEmpty},
      {"copyreg._reconstructor", Kind::kReconstructor},
      {"copyreg.__newobj__", Kind::kNewObject},
      {"builtins.bytes", Kind::kBytes},
      {"builtins.bytearray", Kind::kBytes},
      {"_codecs.encode", Kind::kEncode},
      {"numpy.dtype", Kind::kDtype},
      {"numpy.core.multiarray.scalar", Kind::kScalar},
      {"numpy.core.multiarray._reconstruct", Kind::kArray},
      {"numpy.core.numeric._frombuffer", Kind::kArrayFromBuffer},
  };
  return table;
}

// Functions that do something instead of making data. Nothing here would run them; a file that asks for it is no
// checkpoint, and who loads it in Python should know.
bool runs_something(std::string_view name) {
  constexpr std::array<std::string_view, 16> kModules = {
      "os",     "posix", "nt",        "subprocess", "sys",       "pty",     "shutil",  "socket",
      "ctypes", "runpy", "importlib", "webbrowser", "torch.hub", "marshal", "_pickle", "pickle"};
  constexpr std::array<std::string_view, 10> kFunctions = {
      "builtins.eval",       "builtins.exec",  "builtins.execfile",   "builtins.compile", "builtins.open",
      "builtins.__import__", "builtins.input", "builtins.breakpoint", "torch.load",       "torch.serialization.load"};
  if (std::find(kFunctions.begin(), kFunctions.end(), name) != kFunctions.end()) return true;
  return std::find(kModules.begin(), kModules.end(), name.substr(0, name.rfind('.'))) != kModules.end();
}

// Names of Python 2 and of NumPy 2 for what has another name in between.
std::string usual_name(std::string name) {
  for (const auto& [from, to] : {std::pair{"__builtin__.", "builtins."}, std::pair{"copy_reg.", "copyreg."},
                                 std::pair{"numpy._core.", "numpy.core."}}) {
    if (name.starts_with(from)) return to + name.substr(std::string_view(from).size());
  }
  return name;
}

std::string printable(std::string_view name) {
  std::string out;
  for (const char c : name.substr(0, 100)) out += c >= ' ' && c < 127 ? c : '?';
  return out;
}

// _codecs.encode(text, "latin1"), bytes(…): how protocol 2 writes bytes. Nothing where it is another code.
std::optional<std::string> encoded(const List& arguments, const std::string& where) {
  if (arguments.empty()) return std::string();
  const auto* text = arguments[0]->get<std::string>();
  if (!text) return std::nullopt;
  if (arguments.size() < 2) return *text;
  const auto* code = arguments[1]->get<std::string>();
  if (code && (*code == "utf-8" || *code == "utf8")) return *text;
  if (!code || (*code != "latin1" && *code != "latin-1" && *code != "iso-8859-1")) return std::nullopt;
  std::string out;
  for (size_t i = 0; i < text->size(); ++i) {
    const auto c = static_cast<unsigned char>((*text)[i]);
    const bool is_two = (c & 0xfc) == 0xc0 && i + 1 < text->size();
    SDG_CHECK(c < 0x80 || is_two, where, ": damaged or unknown pickle: text that is no latin-1");
    out += is_two ? static_cast<char>((c & 3) << 6 | ((*text)[++i] & 0x3f)) : static_cast<char>(c);
  }
  return out;
}

TorchValue* make_bytes(ValuePool& pool, const std::string& function, const List& arguments) {
  auto bytes = encoded(arguments, pool.where());
  if (!bytes) return make_record(pool, function, arguments);
  pool.charge(bytes->size());
  return pool.make(std::move(*bytes));
}

// dict(), OrderedDict(), OrderedDict([(key, value), …]), Counter({key: value, …}), defaultdict(factory)
TorchValue* make_dict(ValuePool& pool, const std::string& type, const List& arguments) {
  Dict dict;
  const size_t at = type == "collections.defaultdict" ? 1 : 0;
  if (arguments.size() <= at) return pool.make(std::move(dict));
  if (const auto* other = arguments[at]->get<Dict>()) {
    for (const auto& item : other->items) pool.charge(item.first.size() + sizeof(item));
    dict.items = other->items;
    return pool.make(std::move(dict));
  }
  const auto* pairs = arguments[at]->get<List>();
  if (!pairs) return make_record(pool, type, arguments);
  for (const auto* item : *pairs) {
    const auto* pair = item->get<List>();
    SDG_CHECK(pair && pair->size() == 2, pool.where(), ": a dictionary is made of something else than named values");
    auto key = key_text(*(*pair)[0]);
    pool.charge(key.size() + sizeof(dict.items[0]));
    dict.items.emplace_back(std::move(key), (*pair)[1]);
  }
  return pool.make(std::move(dict));
}

TorchValue* make_list(ValuePool& pool, const std::string& type, const List& arguments) {
  if (arguments.empty()) return pool.make(List{});
  const auto* items = arguments[0]->get<List>();
  if (!items) return make_record(pool, type, arguments);
  pool.charge(items->size() * sizeof(List::value_type));
  return pool.make(*items);
}

// Parameter(tensor, …): the tensor.
TorchValue* inner_tensor(ValuePool& pool, const std::string& function, const List& arguments) {
  if (arguments.empty()) return make_record(pool, function);
  if (const auto* unread = arguments[0]->get<Unread>()) return pool.make(*unread);
  const auto* tensor = arguments[0]->get<StoredTensor>();
  if (!tensor) return make_record(pool, function, arguments);
  pool.charge(tensor->storage.size());
  return pool.make(*tensor);
}

// (function, type, arguments, state): what the function makes, as another class with attributes.
TorchValue* subclass_tensor(ValuePool& pool, const List& arguments) {
  const auto* inner = arguments.size() >= 3 ? arguments[2]->get<List>() : nullptr;
  const auto* function = inner ? arguments[0]->get<Object>() : nullptr;
  const bool is_plain = function && function->is_global && !function->name.starts_with("copyreg.") &&
                        function->name.find("_rebuild_from_type") == std::string::npos;  // else it might call itself
  if (!is_plain) return pool.make(Unread{"is of a subclass that is rebuilt in an unknown way"});
  auto* made = apply_global(pool, *arguments[0], *inner);
  if (made->get<StoredTensor>() || made->get<Unread>()) return made;
  const auto* type = arguments[1]->get<Object>();
  return make_record(pool, type ? type->name : function->name, arguments);
}

// (class, base, state of the base): how protocols 0 and 1 make objects.
TorchValue* reconstructed(ValuePool& pool, const List& arguments) {
  const auto* type = arguments.empty() ? nullptr : arguments[0]->get<Object>();
  SDG_CHECK(type && type->is_global && !type->name.starts_with("copyreg."), pool.where(),
            ": an object without a class");
  const auto* base = arguments.size() == 3 ? arguments[1]->get<Object>() : nullptr;
  if (!base || base->name == "builtins.object") return apply_global(pool, *arguments[0], {});
  return apply_global(pool, *arguments[0], {arguments[2]});
}

TorchValue* new_object(ValuePool& pool, const List& arguments) {
  const auto* type = arguments.empty() ? nullptr : arguments[0]->get<Object>();
  SDG_CHECK(type && type->is_global && !type->name.starts_with("copyreg."), pool.where(),
            ": an object without a class");
  pool.charge(arguments.size() * sizeof(List::value_type));
  return apply_global(pool, *arguments[0], List(arguments.begin() + 1, arguments.end()));
}

TorchValue* make_dtype(ValuePool& pool, const List& arguments) {
  Object object{"numpy.dtype", "", false};
  const auto* text = arguments.empty() ? nullptr : arguments[0]->get<std::string>();
  if (text) object.text = text->substr(0, 64);
  return pool.make(std::move(object));
}

// --- state

void add_attributes(ValuePool& pool, Dict& record, const Dict& attributes) {
  std::set<std::string_view> known;
  pool.charge(record.items.size() * sizeof(record.items[0]));
  for (const auto& [key, unused] : record.items) known.insert(key);
  const auto before = record.items.size();
  for (const auto& [key, value] : attributes.items) {
    if (before > 0 && known.contains(key)) continue;  // a dictionary that is also its attributes
    pool.charge(key.size() + sizeof(attributes.items[0]));
    record.items.emplace_back(key, value);
  }
}

// A pickled module: the names of its tensors are those that its state dict gives.
bool add_module(ValuePool& pool, Dict& record, const TorchValue& state) {
  const TorchValue *parameters = state.find("_parameters"), *buffers = state.find("_buffers"),
                   *modules = state.find("_modules");
  if (!parameters || !buffers || !modules || !parameters->get<Dict>() || !buffers->get<Dict>() || !modules->get<Dict>())
    return false;
  Dict kept;
  std::set<std::string> dropped;
  if (const auto* names = state.find("_non_persistent_buffers_set"))
    if (const auto* list = names->get<List>())
      for (const auto* name : *list) {
        pool.charge(sizeof(record.items[0]));
        dropped.insert(key_text(*name));
      }
  for (const auto* part : {parameters, buffers, modules})
    for (const auto& [key, value] : part->get<Dict>()->items) {
      pool.charge(key.size() + sizeof(kept.items[0]));
      if (part != buffers || !dropped.contains(key)) kept.items.emplace_back(key, value);
    }
  add_attributes(pool, record, kept);
  record.is_module = true;
  return true;
}

// Nodes of OmegaConf and ml_collections know their parents, types and locks; what they mean is in one attribute.
bool unwrap_config(ValuePool& pool, TorchValue& object, const TorchValue& state) {
  auto& record = *std::get_if<Dict>(&object.data);
  const TorchValue* content = nullptr;
  if (record.type.starts_with("omegaconf.")) {
    content = state.find("_content");
    if (!content) content = state.find("_val");
  } else if (record.type.starts_with("ml_collections.")) {
    content = state.find("_fields");
  }
  if (!content && !record.type.starts_with("omegaconf.")) return false;
  if (!content || content == &object) return true;
  if (const auto* items = content->get<Dict>(); items && items != &record) {
    add_attributes(pool, record, *items);
    return true;
  }
  if (const auto* text = content->get<std::string>()) pool.charge(text->size());
  if (const auto* list = content->get<List>()) pool.charge(list->size() * sizeof(List::value_type));
  if (!content->get<Dict>()) object.data = TorchValue(*content).data;
  return true;
}

bool is_attributes(const TorchValue& value) {
  return value.get<Dict>() || value.get<std::monostate>();
}

}  // namespace

TorchValue* make_record(ValuePool& pool, const std::string& type, const List& given) {
  Dict record;
  record.is_record = true;
  record.type = printable(type);
  record.given = given;
  pool.charge(record.type.size() + given.size() * sizeof(given.data()));
  return pool.make(std::move(record));
}

TorchValue* make_global(ValuePool& pool, const std::string& name) {
  pool.charge(name.size());
  return pool.make(Object{usual_name(name), "", true});
}

TorchValue* apply_global(ValuePool& pool, const TorchValue& callable, const List& arguments) {
  const auto* global = callable.get<Object>();
  if (const auto* record = callable.get<Dict>(); record && record->is_record)
    return make_record(pool, record->type, arguments);
  SDG_CHECK(global, pool.where(), ": damaged or unknown pickle: it calls something that is no function");
  SDG_CHECK(!runs_something(global->name), pool.where(), ": refused: its pickle calls the global ",
            printable(global->name), "; loading it in Python would run that. Nothing was run here");
  const auto& name = global->name;
  const auto found = callables().find(name);
  if (found == callables().end() || !global->is_global) {
    if (name.starts_with("torch._utils._rebuild_"))
      return pool.make(Unread{cat("is made by ", printable(name), ", which is not known here")});
    return make_record(pool, name, arguments);
  }
  switch (found->second) {
    case Kind::kDict:
      return make_dict(pool, name, arguments);
    case Kind::kList:
      return make_list(pool, name, arguments);
    case Kind::kTensor:
      return rebuild_tensor(pool, arguments, false);
    case Kind::kTensorTyped:
      return rebuild_tensor(pool, arguments, true);
    case Kind::kInner:
      return inner_tensor(pool, name, arguments);
    case Kind::kSubclass:
      return subclass_tensor(pool, arguments);
    case Kind::kMoved:
      return rebuild_moved(pool, name, arguments);
    case Kind::kSparse:
      return pool.make(Unread{"is sparse"});
    case Kind::kQuantised:
      return pool.make(Unread{"is quantised"});
    case Kind::kNested:
      return pool.make(Unread{"is nested"});
    case Kind::kEmpty:
      return pool.make(Unread{"is on the meta device and holds no data"});
    case Kind::kReconstructor:
      return reconstructed(pool, arguments);
    case Kind::kNewObject:
      return new_object(pool, arguments);
    case Kind::kBytes:
    case Kind::kEncode:
      return make_bytes(pool, name, arguments);
    case Kind::kDtype:
      return make_dtype(pool, arguments);
    case Kind::kScalar:
      return numpy_scalar(pool, arguments);
    case Kind::kArray:
      return pool.make(Object{"numpy.ndarray", "", false});
    case Kind::kArrayFromBuffer:
      return numpy_from_buffer(pool, arguments);
  }
  return nullptr;
}

void apply_state(ValuePool& pool, TorchValue& object, const TorchValue& state) {
  if (object.get<StoredTensor>()) return apply_tensor_state(pool, object, state);
  if (auto* known = std::get_if<Object>(&object.data)) {
    if (known->name == "numpy.dtype") apply_dtype_state(*known, state);
    if (known->name == "numpy.ndarray" && !known->is_global) apply_array_state(pool, object, state);
    return;
  }
  auto* record = std::get_if<Dict>(&object.data);
  if (!record || !record->is_record || &state == &object) return;
  if (state.get<Dict>() && (unwrap_config(pool, object, state) || add_module(pool, *record, state))) return;
  if (const auto* attributes = state.get<Dict>()) return add_attributes(pool, *record, *attributes);
  const auto* parts = state.get<List>();
  if (parts && parts->size() == 2 && is_attributes(*(*parts)[0]) && is_attributes(*(*parts)[1])) {  // and slots
    for (const auto* part : *parts)
      if (const auto* attributes = part->get<Dict>(); attributes && attributes != record)
        add_attributes(pool, *record, *attributes);
    return;
  }
  pool.charge(sizeof(List::value_type));
  record->given.push_back(&state);
}

}  // namespace sdg::tensors
