// A PKCS#11 module that passes every call to SoftHSM, except where a file in $FAULTY_MODULE says otherwise. It misbehaves
// in the ways that devices do: lost sessions, refused PINs, hanging calls, crashes, attributes that are not honoured.
//
//   <function>         a number is returned instead of calling; "crash" and "hang" do that
//   <function>.once    the same for one call
//   C_OpenSession.after   the number of sessions there are
//   token-flags        a number, or-ed to the flags of the token
//   extractable        CKA_EXTRACTABLE is answered with true
//   bare-point         CKA_EC_POINT is answered without its OCTET STRING
//   calls              gets a line for each call of C_Login and C_Sign
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <unistd.h>

#include <pkcs11/pkcs11.h>

static CK_FUNCTION_LIST_PTR real;
static CK_FUNCTION_LIST faulty;

static std::string path(const std::string &name) { return std::string(getenv("FAULTY_MODULE")) + "/" + name; }

static bool stated(const std::string &name, std::string &text)
{
  FILE *file = fopen(path(name).c_str(), "r");
  if (file == nullptr) return false;
  char buffer[64] = {0};
  size_t length = fread(buffer, 1, sizeof buffer - 1, file);
  fclose(file);
  text.assign(buffer, length);
  return true;
}

static bool stated(const std::string &name)
{
  std::string text;
  return stated(name, text);
}

static CK_RV act(const std::string &what)
{
  if (what == "crash") abort();
  if (what == "hang") for (;;) pause();
  return strtoul(what.c_str(), nullptr, 10);
}

// Of several threads that find the file, the one that removes it is the one that fails.
static CK_RV fault(const char *function)
{
  std::string what;
  if (stated(function, what)) return act(what);
  std::string once = std::string(function) + ".once";
  if (stated(once, what) && unlink(path(once).c_str()) == 0) return act(what);
  return CKR_OK;
}

static void note(const char *function)
{
  std::string line = std::string(function) + "\n";
  int file = open(path("calls").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (file < 0 || write(file, line.data(), line.size()) < 0) abort();
  close(file);
}

#define FAULT(function) if (CK_RV rv = fault(function); rv != CKR_OK) return rv;

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG length)
{
  note("C_Login");
  FAULT("C_Login");
  return real->C_Login(session, user, pin, length);
}

static CK_RV openSession(CK_SLOT_ID slot, CK_FLAGS flags, CK_VOID_PTR data, CK_NOTIFY notify, CK_SESSION_HANDLE_PTR handle)
{
  FAULT("C_OpenSession");
  static unsigned long opened = 0;
  std::string most;
  if (stated("C_OpenSession.after", most) && opened++ >= strtoul(most.c_str(), nullptr, 10)) return CKR_SESSION_COUNT;
  return real->C_OpenSession(slot, flags, data, notify, handle);
}

static CK_RV getTokenInfo(CK_SLOT_ID slot, CK_TOKEN_INFO_PTR info)
{
  FAULT("C_GetTokenInfo");
  CK_RV rv = real->C_GetTokenInfo(slot, info);
  std::string flags;
  if (rv == CKR_OK && stated("token-flags", flags)) info->flags |= strtoul(flags.c_str(), nullptr, 10);
  return rv;
}

static CK_RV signInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key)
{
  FAULT("C_SignInit");
  return real->C_SignInit(session, mechanism, key);
}

static CK_RV sign(CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG length, CK_BYTE_PTR out, CK_ULONG_PTR outLength)
{
  note("C_Sign");
  CK_RV failure = fault("C_Sign");
  CK_RV rv = real->C_Sign(session, data, length, out, outLength); // also ends the operation of the session
  if (failure != CKR_OK) return failure;
  if (rv == CKR_OK && stated("flipped-signature")) out[*outLength - 1] ^= 1;
  if (rv == CKR_OK && stated("short-signature")) *outLength -= 1;
  return rv;
}

static CK_RV generateRandom(CK_SESSION_HANDLE session, CK_BYTE_PTR out, CK_ULONG length)
{
  FAULT("C_GenerateRandom");
  return real->C_GenerateRandom(session, out, length);
}

static CK_RV generateKeyPair(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR publicTemplate,
                             CK_ULONG publicCount, CK_ATTRIBUTE_PTR privateTemplate, CK_ULONG privateCount,
                             CK_OBJECT_HANDLE_PTR publicKey, CK_OBJECT_HANDLE_PTR privateKey)
{
  FAULT("C_GenerateKeyPair");
  return real->C_GenerateKeyPair(session, mechanism, publicTemplate, publicCount, privateTemplate, privateCount,
                                 publicKey, privateKey);
}

static CK_RV getAttributeValue(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_PTR attributes, CK_ULONG count)
{
  CK_RV rv = real->C_GetAttributeValue(session, object, attributes, count);
  if (rv != CKR_OK) return rv;
  for (CK_ULONG at = 0; at < count; at++) {
    CK_ATTRIBUTE &one = attributes[at];
    if (one.pValue == nullptr) continue;
    if (one.type == CKA_EXTRACTABLE && stated("extractable")) *static_cast<CK_BBOOL *>(one.pValue) = CK_TRUE;
    if (one.type == CKA_EC_POINT && stated("bare-point")) {
      one.ulValueLen -= 2;
      memmove(one.pValue, static_cast<char *>(one.pValue) + 2, one.ulValueLen);
    }
  }
  return rv;
}

extern "C" CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list)
{
  void *module = dlopen("/usr/lib/softhsm/libsofthsm2.so", RTLD_NOW | RTLD_LOCAL);
  if (module == nullptr) return CKR_GENERAL_ERROR;
  auto get = reinterpret_cast<CK_C_GetFunctionList>(dlsym(module, "C_GetFunctionList"));
  CK_RV rv = get(&real);
  if (rv != CKR_OK) return rv;
  faulty = *real;
  faulty.C_Login = login;
  faulty.C_OpenSession = openSession;
  faulty.C_GetTokenInfo = getTokenInfo;
  faulty.C_SignInit = signInit;
  faulty.C_Sign = sign;
  faulty.C_GenerateRandom = generateRandom;
  faulty.C_GenerateKeyPair = generateKeyPair;
  faulty.C_GetAttributeValue = getAttributeValue;
  *list = &faulty;
  return CKR_OK;
}
