#include "sdg/report/html_page.h"

#include "sdg/core/error.h"
#include "sdg/core/utf8.h"
#include "sdg/image/image.h"
#include "sdg/io/atomic_file.h"

namespace sdg::report {
namespace {
constexpr const char* kStyle =
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1000px;margin:2em auto;padding:0 1em;color:#222}"
    "img{image-rendering:pixelated;max-width:100%}figure{margin:1em 0}figcaption{color:#555}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:2px 10px;text-align:right}";
}

std::string base64(const std::string& bytes) {
  constexpr const char* kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = std::min<size_t>(3, bytes.size() - i);
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k) word = word << 8 | (k < left ? static_cast<uint8_t>(bytes[i + k]) : 0U);
    for (size_t k = 0; k < 4; ++k) out += k <= left ? kLetters[word >> (18 - 6 * k) & 63U] : '=';
  }
  return out;
}

std::string escape_html(const std::string& text) {
  std::string out;
  for (const char c : to_utf8(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

void HtmlPage::heading(const std::string& text) {
  body_ += cat("<h2>", escape_html(text), "</h2>\n");
}

void HtmlPage::paragraph(const std::string& text) {
  body_ += cat("<p>", escape_html(text), "</p>\n");
}

void HtmlPage::picture(const Tensor& image, const std::string& caption) {
  body_ += cat("<figure><img alt=\"", escape_html(caption), "\" src=\"data:image/png;base64,",
               base64(image::encode_png(image)), "\"><figcaption>", escape_html(caption), "</figcaption></figure>\n");
}

void HtmlPage::table(const std::vector<std::vector<std::string>>& rows) {
  body_ += "<table>\n";
  for (size_t r = 0; r < rows.size(); ++r) {
    const std::string cell = r == 0 ? "th" : "td";
    body_ += "<tr>";
    for (const auto& text : rows[r]) body_ += cat("<", cell, ">", escape_html(text), "</", cell, ">");
    body_ += "</tr>\n";
  }
  body_ += "</table>\n";
}

std::string HtmlPage::text() const {
  return cat("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>", escape_html(title_),
             "</title><style>", kStyle, "</style></head><body>\n<h1>", escape_html(title_), "</h1>\n", body_,
             "</body></html>\n");
}

void HtmlPage::write(const std::filesystem::path& path) const {
  const auto page = text();
  io::write_atomically(path, [&](std::ostream& out) { out << page; });
}

}  // namespace sdg::report
