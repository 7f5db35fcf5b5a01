#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "sdg/core/error.h"
#include "tensors/pickle_impl.h"
#include "tensors/pickle_opcodes_impl.h"

namespace sdg::tensors {
namespace {

constexpr size_t kMaxStack = 4'000'000, kMaxName = 1000;

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, ValuePool& pool,
          const std::function<TorchValue*(const TorchValue&)>& persistent)
      : bytes_(bytes), pool_(pool), persistent_(persistent) {}

  const TorchValue* run() {
    for (;;) {
      const auto opcode = number<uint8_t>();
      if (opcode == kStop) break;
      if (!data(opcode) && !container(opcode) && !object(opcode)) {
        SDG_CHECK(opcode != 'P', pool_.where(),
                  ": tensors in pickle protocol 0 are not read; save with protocol 2 or later");
        fail(cat("opcode ", static_cast<int>(opcode), " is not one that plain data needs"));
      }
    }
    auto* result = pop();
    check(stack_.empty() && marks_.empty(), "values are left over at its end");
    return result;
  }
  size_t position() const { return at_; }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(cat(pool_.where(), ": damaged or unknown pickle: ", what, " (byte ", at_, ")"));
  }
  void check(bool condition, const char* what) const {
    if (!condition) fail(what);
  }

  // --- bytes

  std::string_view take(uint64_t size) {
    if (size > bytes_.size() - at_) fail("it is truncated");
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast)
    const std::string_view out(reinterpret_cast<const char*>(bytes_.data()) + at_, size);
    at_ += size;
    return out;
  }
  template <class T>
  T number() {
    T value = 0;
    take(sizeof(T)).copy(reinterpret_cast<char*>(&value), sizeof(T));
    return value;
  }
  std::string_view line() {
    const auto left = std::span(bytes_).subspan(at_);
    const auto end = std::find(left.begin(), left.end(), std::byte{'\n'});
    if (end == left.end()) fail("it is truncated");
    const auto text = take(static_cast<uint64_t>(end - left.begin()));
    take(1);
    return text;
  }
  std::string name() {
    const auto text = line();
    check(text.size() <= kMaxName, "a name has more than 1000 characters");
    return std::string(text);
  }
  int64_t index_in_text() {
    const auto value = pickled_int(line());
    check(value.has_value(), "a number is none");
    return *value;
  }

  // --- stack

  void push(TorchValue* value) {
    check(stack_.size() < kMaxStack, "its stack grows beyond every use");
    stack_.push_back(value);
  }
  void push_new(decltype(TorchValue::data) value) { push(pool_.make(std::move(value))); }
  void push_text(std::string_view text) { push_new(std::string(text)); }
  TorchValue* pop() {
    check(stack_.size() > (marks_.empty() ? 0 : marks_.back()), "its stack is empty");
    auto* top = stack_.back();
    stack_.pop_back();
    return top;
  }
  TorchValue& top() {
    check(stack_.size() > (marks_.empty() ? 0 : marks_.back()), "its stack is empty");
    return *stack_.back();
  }
  TorchValue::List pop_mark() {
    check(!marks_.empty(), "a mark is missing");
    const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    TorchValue::List items(from, stack_.end());
    stack_.erase(from, stack_.end());
    marks_.pop_back();
    return items;
  }
  TorchValue::List pop_count(size_t count) {
    TorchValue::List items(count);
    while (count > 0) items[--count] = pop();
    return items;
  }

  // --- opcodes, in three groups; false: not of this group

  bool data(uint8_t opcode) {
    switch (opcode) {
      case kProto:
        check(number<uint8_t>() <= 5, "its protocol is above 5");
        return true;
      case kFrame:
        number<uint64_t>();  // only a hint for reading ahead
        return true;
      case kNone:
        push_new(std::monostate{});
        return true;
      case kNewTrue:
        push_new(true);
        return true;
      case kNewFalse:
        push_new(false);
        return true;
      case kBinInt:
        push_new(int64_t{number<int32_t>()});
        return true;
      case kBinInt1:
        push_new(int64_t{number<uint8_t>()});
        return true;
      case kBinInt2:
        push_new(int64_t{number<uint16_t>()});
        return true;
      case kInt:
      case kLong:
        push_number_text(opcode, line());
        return true;
      case kFloat: {
        const auto value = pickled_float(line());
        check(value.has_value(), "a number is none");
        push_new(*value);
        return true;
      }
      case kString:
      case kUnicode: {
        auto text = opcode == kString ? pickled_string(line()) : pickled_unicode(line());
        check(text.has_value(), "a text is none");
        push_new(std::move(*text));
        return true;
      }
      case kLong1:
        push_long(number<uint8_t>());
        return true;
      case kLong4:
        push_long(number<uint32_t>());
        return true;
      case kBinFloat:
        push_new(std::bit_cast<double>(__builtin_bswap64(number<uint64_t>())));
        return true;
      case kShortBinString:
      case kShortBinBytes:
      case kShortBinUnicode:
        push_text(take(number<uint8_t>()));
        return true;
      case kBinString:
      case kBinBytes:
      case kBinUnicode:
        push_text(take(number<uint32_t>()));
        return true;
      case kBinUnicode8:
      case kBinBytes8:
      case kByteArray8:
        push_text(take(number<uint64_t>()));
        return true;
      default:
        return false;
    }
  }

  // Two's complement, little-endian; what does not fit 64 bits is no size of anything.
  void push_long(uint64_t size) {
    const auto bytes = take(size);
    if (size > 8) {
      push_new(TorchValue::Object{"int", std::string(bytes.substr(0, 64)), false});
      return;
    }
    uint64_t value = size > 0 && static_cast<int8_t>(bytes.back()) < 0 ? ~uint64_t{0} : 0;
    std::memcpy(&value, bytes.data(), size);
    push_new(static_cast<int64_t>(value));
  }

  // Protocols 0 and 1; "00" and "01" are no numbers.
  void push_number_text(uint8_t opcode, std::string_view text) {
    if (opcode == kInt && (text == "00" || text == "01")) return push_new(text == "01");
    const auto value = pickled_int(text);
    if (!value) return push_new(TorchValue::Object{"int", std::string(text.substr(0, 64)), false});
    push_new(*value);
  }

  bool container(uint8_t opcode) {
    switch (opcode) {
      case kMark:
        check(marks_.size() < kMaxStack, "its stack grows beyond every use");
        marks_.push_back(stack_.size());
        return true;
      case kPop:
        pop();
        return true;
      case kPopMark:
        pop_mark();
        return true;
      case kDup:
        push(&top());
        return true;
      case kEmptyList:
      case kEmptyTuple:
      case kEmptySet:
        push_new(TorchValue::List{});
        return true;
      case kEmptyDict:
        push_new(TorchValue::Dict{});
        return true;
      case kTuple1:
      case kTuple2:
      case kTuple3:
        push_new(pop_count(opcode - kTuple1 + 1U));
        return true;
      case kTuple:
      case kList:
      case kFrozenSet:
        push_new(pop_mark());
        return true;
      case kDict: {
        const auto items = pop_mark();
        push_new(TorchValue::Dict{});
        set_items(items);
        return true;
      }
      case kAppend:
        append(pop_count(1));
        return true;
      case kAppends:
      case kAddItems:
        append(pop_mark());
        return true;
      case kSetItem:
        set_items(pop_count(2));
        return true;
      case kSetItems:
        set_items(pop_mark());
        return true;
      default:
        return false;
    }
  }

  // To a list, or to an object of an unknown class that is also a list.
  void append(const TorchValue::List& items) {
    pool_.charge(items.size() * (sizeof(TorchValue::List::value_type) + sizeof(TorchValue::Dict::items[0])));
    if (auto* list = std::get_if<TorchValue::List>(&top().data)) {
      list->insert(list->end(), items.begin(), items.end());
      return;
    }
    auto* record = std::get_if<TorchValue::Dict>(&top().data);
    check(record != nullptr && record->is_record, "items are appended to something else than a list");
    for (const auto* item : items) record->items.emplace_back(std::to_string(record->items.size()), item);
  }

  void set_items(const TorchValue::List& items) {
    auto* dict = std::get_if<TorchValue::Dict>(&top().data);
    check(dict != nullptr && items.size() % 2 == 0, "keys and values are set in something else than a dictionary");
    for (size_t i = 0; i < items.size(); i += 2) {
      auto key = key_text(*items[i]);
      pool_.charge(key.size() + sizeof(dict->items[0]));
      dict->items.emplace_back(std::move(key), items[i + 1]);
    }
  }

  bool object(uint8_t opcode) {
    switch (opcode) {
      case kBinPut:
        memo_[number<uint8_t>()] = &top();
        return true;
      case kLongBinPut:
        memo_[number<uint32_t>()] = &top();
        return true;
      case kMemoize:
        memo_[memo_.size()] = &top();
        return true;
      case kBinGet:
        recall(number<uint8_t>());
        return true;
      case kLongBinGet:
        recall(number<uint32_t>());
        return true;
      case kPut:
        memo_[static_cast<uint64_t>(index_in_text())] = &top();
        return true;
      case kGet:
        recall(static_cast<uint64_t>(index_in_text()));
        return true;
      case kGlobal: {
        push(global());
        return true;
      }
      case kInst: {
        const auto* type = global();
        push(apply_global(pool_, *type, pop_mark()));
        return true;
      }
      case kObj: {
        auto items = pop_mark();
        check(!items.empty(), "an object without a class");
        push(apply_global(pool_, *items.front(), {items.begin() + 1, items.end()}));
        return true;
      }
      case kStackGlobal: {
        const auto names = pop_count(2);
        const auto *module = names[0]->get<std::string>(), *name = names[1]->get<std::string>();
        check(module && name && module->size() + name->size() <= kMaxName, "a global's name is no text");
        push(make_global(pool_, cat(*module, ".", *name)));
        return true;
      }
      case kReduce:
      case kNewObj: {
        const auto both = pop_count(2);
        push(apply(*both[0], *both[1]));
        return true;
      }
      case kNewObjEx: {
        const auto all = pop_count(3);
        auto* made = apply(*all[0], *all[1]);
        if (const auto* named = all[2]->get<TorchValue::Dict>(); named && named->items.empty()) return push(made), true;
        if (made->get<StoredTensor>())
          made = pool_.make(TorchValue::Unread{"is made with arguments that are not known"});
        if (auto* record = std::get_if<TorchValue::Dict>(&made->data)) record->given.push_back(all[2]);
        push(made);
        return true;
      }
      case kBuild: {
        const auto* state = pop();
        apply_state(pool_, top(), *state);
        return true;
      }
      case kBinPersId: {
        const auto* id = pop();
        push(persistent_(*id));
        return true;
      }
      default:
        return false;
    }
  }

  TorchValue* global() {
    const auto module = name();
    return make_global(pool_, cat(module, ".", name()));
  }

  void recall(uint64_t index) {
    const auto found = memo_.find(index);
    check(found != memo_.end(), "it recalls what it never stored");
    push(found->second);
  }

  TorchValue* apply(const TorchValue& callable, const TorchValue& arguments) {
    const auto* list = arguments.get<TorchValue::List>();
    check(list != nullptr, "arguments are no tuple");
    return apply_global(pool_, callable, *list);
  }

  std::span<const std::byte> bytes_;
  ValuePool& pool_;
  const std::function<TorchValue*(const TorchValue&)>& persistent_;
  size_t at_ = 0;
  std::vector<TorchValue*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, TorchValue*> memo_;
};

}  // namespace

const TorchValue* read_pickle(std::span<const std::byte>& bytes, ValuePool& pool,
                              const std::function<TorchValue*(const TorchValue&)>& persistent) {
  Machine machine(bytes, pool, persistent);
  const auto* value = machine.run();
  bytes = bytes.subspan(machine.position());
  return value;
}

}  // namespace sdg::tensors
